"""Calls through Twilio (`POST …/Calls.json`): the message is spoken, a key answers it.

A mailbox answers, too, and tells nobody anything. So Twilio listens, while the message is
spoken, whether it is a person; only a person or a pressed key counts as told.
https://www.twilio.com/docs/voice/answering-machine-detection
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from notifications.message import Message
from notifications.texting import keys_text, spoken_text
from notifications.transports import twilio
from notifications.transports.base import Account, Destination, Receipt, Said
from notifications.transports.numbers import send_to_each

# Seconds of ringing: mailboxes take calls after 20 to 30.
_RING_S = 25
_KEY_WITHIN_S = 8
# Once more for whoever has just woken up.
_TIMES = 2
_VOICES = {"fr": "fr-FR", "en": "en-US"}
# Beside the message: whoever has just woken up hears no silence first.
_LISTENING = {"MachineDetection": "Enable", "AsyncAmd": "true"}

_NOT_ANSWERED = frozenset({"busy", "no-answer", "failed", "canceled"})
_UNDER_WAY = frozenset({"ringing", "in-progress", "answered"})
OVER = "completed"


class TwilioVoiceTransport:
    """One call a number, with the message inside of the request (inline TwiML)."""

    def send(
        self, *, destination: Destination, message: Message, idempotency_key: str
    ) -> Receipt:
        """Call. A repetition rings again: better twice than not at all."""
        account = destination.account
        assert account is not None  # noqa: S101 letters.prepare sees to it
        form = {
            "From": account.voice_sender,
            "Twiml": twiml(message, keypress_url=destination.keypress_url),
            "Timeout": str(_RING_S),
            **_LISTENING,
        }
        return send_to_each(
            destination=destination,
            send=lambda number: twilio.create(
                account,
                "Calls.json",
                {**form, "To": number},
                callbacks={
                    "StatusCallback": destination.status_url,
                    "AsyncAmdStatusCallback": destination.status_url,
                },
            ),
        )

    def ask(self, account: Account, message_id: str) -> Said | None:
        """Return what became of a call."""
        found = twilio.read(account, f"Calls/{message_id}.json")
        return said(
            status=found.get("status"),
            answered_by=found.get("answered_by") or "unknown",
        )


def said(*, status: Any, answered_by: Any) -> Said | None:
    """Translate what Twilio says of a call; None when that tells nothing yet.

    Of one that is over without a word about who answered (no `answered_by`), nothing
    is known yet; with "unknown" nobody will know, and the next way must go.
    """
    by = str(answered_by or "")
    if by == "human":
        return Said("delivered", twilio.told("answered", by))
    if by == "fax" or by.startswith("machine"):
        return Said("failed", twilio.told("answered", by))
    if status in _NOT_ANSWERED:
        return Said("failed", twilio.told(status))
    if status in _UNDER_WAY:
        return Said("sent", twilio.told(status))
    if status == OVER and by:
        return Said("failed", twilio.told("answered", by))
    return None


def pressed(key: str) -> Said:
    """Return what a pressed key proves, whatever was heard: somebody is there."""
    return Said("delivered", twilio.told("key pressed", key))


def twiml(message: Message, *, keypress_url: str = "") -> str:
    """Return what Twilio does once somebody answers: say it, and wait for a key.

    https://www.twilio.com/docs/voice/twiml/gather
    """
    language = message.language or settings.PORTAL_LANGUAGE
    with override(language):
        offers_keys = bool(message.incident_id is not None and keypress_url)
        said = spoken_text(message)
        if offers_keys:
            said = f"{said} {keys_text(message)}"
        goodbye = _("Goodbye.")
    voice = f"<Say language={quoteattr(_VOICES.get(language, 'en-US'))}>"
    words = f"{voice}{escape(said)}</Say>"
    if offers_keys:
        gather = (
            f'<Gather input="dtmf" numDigits="1" timeout="{_KEY_WITHIN_S}"'
            f' method="POST" action={quoteattr(keypress_url)}>{words}</Gather>'
        )
        body = gather * _TIMES
    else:
        body = f'{words}<Pause length="1"/>' * _TIMES
    return f"<Response>{body}{voice}{escape(goodbye)}</Say></Response>"
