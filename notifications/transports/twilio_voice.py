"""Calls through Twilio (`POST …/Calls.json`): the message is spoken, a key answers it."""

from __future__ import annotations

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
        }
        return send_to_each(
            destination=destination,
            send=lambda number: twilio.create(
                account,
                "Calls.json",
                {**form, "To": number},
                status_url=destination.status_url,
            ),
        )

    def ask(self, account: Account, message_id: str) -> Said | None:
        """Return what became of a call."""
        return twilio.ask(account, f"Calls/{message_id}.json")


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
