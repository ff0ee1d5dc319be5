"""SMS through OVHcloud (`POST /sms/{service}/jobs`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from notifications.message import Message
from notifications.texting import sms_text
from notifications.transports import ovh
from notifications.transports.api import ApiAnswer
from notifications.transports.base import (
    Account,
    Destination,
    Receipt,
    Said,
    TransportError,
)
from notifications.validation import recipients

# Minutes. An SMS that comes hours late wakes somebody for nothing.
_VALID_FOR_MIN = 60

# GET /sms/ptts. 1 and 2 try again, 3 has it, 6 knows nothing.
_DELIVERED = 4
_ON_ITS_WAY = frozenset({1, 2, 6, 25, 26})
_HANDED_ON = 3
_WORDS: Mapping[int, str] = {
    5: "undelivered",
    8: "expired",
    20: "undeliverable",
    21: "no credit",
    23: "bad or blocked number",
    24: "absent",
    27: "handset",
    28: "spam",
    29: "content",
    33: "parental lock",
}


class OvhSmsTransport:
    """One job for all numbers of a destination. Its tag lets a repetition recognize it."""

    def send(
        self, *, destination: Destination, message: Message, idempotency_key: str
    ) -> Receipt:
        """Send; a job that takes none of the numbers is a refusal, with HTTP 200."""
        account = destination.account
        assert account is not None  # noqa: S101 letters.prepare sees to it
        tag = _tag(idempotency_key)
        if destination.earlier is not None:
            found = _look(account, tag)
            if found:
                return _receipt(account, found, [])
        job = job_of(
            numbers=recipients(destination.address),
            # Nothing here reads what is answered to OVHcloud: the link is the way.
            text=sms_text(message, can_reply=False),
            sender=account.sender,
            tag=tag,
        )
        try:
            answer = ovh.request(account, "POST", "jobs", body=job)
        except TransportError as error:
            if not error.is_perhaps_taken:
                raise
            found = _look(account, tag)
            if found:
                return _receipt(account, found, [])
            # A job is listed only once it has been sent: nobody knows.
            raise
        return _taken(account, answer)

    def ask(self, account: Account, message_id: str) -> Said | None:
        """Return what became of a message."""
        answer = ovh.request(account, "GET", f"outgoing/{message_id}")
        if answer.status == 404:
            # Not sent yet.
            return None
        if not answer.is_taken or not isinstance(answer.json, dict):
            raise ovh.refused(account, answer)
        return said(answer.json.get("ptt"), answer.json.get("deliveryReceipt"))


def job_of(*, numbers: list[str], text: str, sender: str, tag: str) -> dict[str, Any]:
    """Return a job. Without `noStopClause` it would wait for a weekday's daylight."""
    return {
        "message": text,
        "receivers": numbers,
        "noStopClause": True,
        "priority": "high",
        "charset": "UTF-8",
        "coding": "7bit",
        "class": "phoneDisplay",
        "validityPeriod": _VALID_FOR_MIN,
        "tag": tag,
        **({"sender": sender} if sender else {"senderForResponse": True}),
    }


def said(ptt: Any, receipt: Any) -> Said | None:
    """Translate a final state of OVHcloud's; None when it says nothing of an arrival."""
    if not isinstance(ptt, int):
        return None
    word = _WORDS.get(ptt, "")
    detail = f"OVHcloud: ptt {ptt}" + (f" ({word})" if word else "")
    if ptt == _DELIVERED or receipt == 1:
        return Said("delivered", detail)
    if ptt == _HANDED_ON:
        return Said("sent", detail)
    return None if ptt in _ON_ITS_WAY else Said("failed", detail)


def _taken(account: Account, answer: ApiAnswer) -> Receipt:
    if not answer.is_taken:
        raise ovh.refused(account, answer)
    body = answer.json if isinstance(answer.json, dict) else {}
    ids = [str(one) for one in body.get("ids") or []]
    invalid = [str(one) for one in body.get("invalidReceivers") or []]
    if not ids:
        raise TransportError(
            _("%(name)s takes none of these numbers: %(numbers)s")
            % {"name": account.name, "numbers": ", ".join(invalid) or "–"},
            permanent=True,
            # Its list of blocked numbers is its own.
            is_providers_fault=True,
        )
    return _receipt(account, ids, invalid)


def _receipt(account: Account, ids: list[str], invalid: list[str]) -> Receipt:
    return Receipt(
        detail={"answer": account.name, "message_ids": ids},
        message_id=ids[0],
        warning=_("Some numbers were refused: %(said)s") % {"said": ", ".join(invalid)}
        if invalid
        else "",
    )


def _look(account: Account, tag: str) -> list[str]:
    """Return the ids of what has been sent under a tag; none when OVH doesn't say."""
    try:
        answer = ovh.request(account, "GET", "outgoing", query={"tag": tag})
    except TransportError:
        return []
    found = answer.json if answer.is_taken and isinstance(answer.json, list) else []
    return [str(one) for one in found]


def _tag(idempotency_key: str) -> str:
    # At most 20 characters.
    return hashlib.sha256(idempotency_key.encode()).hexdigest()[:20]
