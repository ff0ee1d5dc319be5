"""SMS through Twilio (`POST …/Messages.json`)."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from notifications.message import Message
from notifications.texting import sms_text
from notifications.transports import twilio
from notifications.transports.base import (
    Account,
    Destination,
    Receipt,
    Said,
    TransportError,
)
from notifications.transports.numbers import send_to_each

# An SMS that comes hours late wakes somebody for nothing. Twilio allows 1 to 36,000.
_VALID_FOR_S = 3600
# What Twilio was given may take a moment to be listed.
_LISTED_AFTER_S = 1.0


class TwilioSmsTransport:
    """One request a number. What may have left before is looked for first."""

    def send(
        self, *, destination: Destination, message: Message, idempotency_key: str
    ) -> Receipt:
        """Send; Twilio takes no idempotency key, so a lost answer is looked up."""
        account = destination.account
        assert account is not None  # noqa: S101 letters.prepare sees to it
        texts = [sms_text(message, can_reply=can_reply(account))]
        if destination.earlier is not None:
            before = destination.earlier.message
            texts.append(sms_text(before, can_reply=can_reply(account)))
        return send_to_each(
            destination=destination,
            send=lambda number: _send(destination, account, number, texts),
        )

    def ask(self, account: Account, message_id: str) -> Said | None:
        """Return what became of a message."""
        found = twilio.read(account, f"Messages/{message_id}.json")
        return twilio.said(found.get("status"), found.get("error_code"))


def can_reply(account: Account) -> bool:
    """Whether the receiver can answer: names can't be written to."""
    return account.sender.startswith(("+", "MG"))


def _send(
    destination: Destination, account: Account, number: str, texts: list[str]
) -> str:
    if destination.earlier is not None:
        found = _look(account, number, texts, destination.earlier.at)
        if found:
            return found
    is_service = account.sender.startswith("MG")
    form = {
        "To": number,
        "Body": texts[0],
        "ValidityPeriod": str(_VALID_FOR_S),
        "MessagingServiceSid" if is_service else "From": account.sender,
    }
    started_at = datetime.now(UTC)
    try:
        return twilio.create(
            account,
            "Messages.json",
            form,
            callbacks={"StatusCallback": destination.status_url},
        )
    except TransportError as error:
        if not error.is_perhaps_taken:
            raise
        time.sleep(_LISTED_AFTER_S)
        found = _look(account, number, texts, started_at)
        if not found:
            # It may be taken yet. Whoever tries again looks again.
            raise
        return found


def _look(account: Account, number: str, texts: list[str], since: datetime) -> str:
    """Return the SID, "" when Twilio has none or doesn't say."""
    try:
        return twilio.find_message(account, to=number, texts=texts, since=since)
    except TransportError:
        return ""
