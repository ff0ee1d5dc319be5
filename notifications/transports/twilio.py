"""Twilio's REST API: what SMS and calls share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.utils.translation import gettext as _

from notifications.transports import api
from notifications.transports.base import Account, Said, TransportError

# Faults of the number that is sent to: no other provider reaches it either.
# https://www.twilio.com/docs/api/errors
_RECIPIENT = frozenset({13224, 21211, 21214, 21217, 21401, 21421, 21614})
_BAD_CALLBACK = frozenset({21609, 21626, 21206})
_RATE = 20429
# Their clock and ours; DateSent is searched by the day.
_SKEW = timedelta(seconds=30)
_LOOK_AT = "50"

# A message's, ours by theirs; what isn't here says nothing of an arrival.
STATUSES: Mapping[str, str] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}


def request(
    account: Account, method: str, path: str, form: Mapping[str, str] | None = None
) -> api.ApiAnswer:
    """Ask for something below the account; raises TransportError for no answer."""
    base = f"{settings.TWILIO_API_URL}/2010-04-01/Accounts/{quote(account.account)}"
    headers = {
        "Authorization": f"Basic {account.basic_pair}",
        "Accept": "application/json",
    }
    query = ""
    if method == "GET" and form:
        query = f"?{urlencode(form)}"
    elif form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    return api.call(
        account=account,
        method=method,
        url=f"{base}/{path}{query}",
        headers=headers,
        content=urlencode(form or {}).encode() if method == "POST" else b"",
    )


def code_of(answer: api.ApiAnswer) -> int:
    """Return Twilio's own number of an error, 0 when there is none."""
    code = answer.json.get("code") if isinstance(answer.json, dict) else None
    return code if isinstance(code, int) else 0


def refused(account: Account, answer: api.ApiAnswer) -> TransportError:
    """Return the error that an answer other than 2xx means."""
    code = code_of(answer)
    is_temporary = answer.is_temporary or code == _RATE
    said = answer.text
    if isinstance(answer.json, dict) and answer.json.get("message"):
        said = account.scrub(str(answer.json["message"]))
    number = f" ({code})" if code else ""
    advice = _advice(answer.status, code)
    return TransportError(
        f"{account.name}: HTTP {answer.status}{number}: {advice or said}",
        permanent=not is_temporary,
        retry_after_s=answer.retry_after_s,
        is_providers_fault=code not in _RECIPIENT,
    )


def create(
    account: Account,
    path: str,
    form: Mapping[str, str],
    *,
    callbacks: Mapping[str, str],
) -> str:
    """Make a message or a call and return its SID; raises TransportError.

    `callbacks`: parameter → where Twilio tells more later; empty ones are left out.
    """
    known = {name: url for name, url in callbacks.items() if url}
    answer = request(account, "POST", path, {**form, **known})
    if code_of(answer) in _BAD_CALLBACK and known:
        # The portal's address is none that Twilio can reach: it is asked instead.
        answer = request(account, "POST", path, form)
    if not answer.is_taken:
        raise refused(account, answer)
    sid = answer.json.get("sid") if isinstance(answer.json, dict) else None
    if not sid:
        raise TransportError(
            _("%(name)s answered with something that is not Twilio.")
            % {"name": account.name},
            permanent=True,
            is_providers_fault=True,
        )
    return str(sid)


def find_message(
    account: Account, *, to: str, texts: Collection[str], since: datetime
) -> str:
    """Return the SID of one of these texts to a number since then, "" when there is none.

    Raises TransportError when Twilio doesn't say.
    """
    since -= _SKEW
    search = {"To": to, "DateSent>": since.date().isoformat(), "PageSize": _LOOK_AT}
    answer = request(account, "GET", "Messages.json", search)
    if not answer.is_taken or not isinstance(answer.json, dict):
        raise refused(account, answer)
    for row in answer.json.get("messages", []):
        is_ours = row.get("to") == to and row.get("body") in texts
        if is_ours and _is_since(row.get("date_created"), since):
            return str(row.get("sid", ""))
    return ""


def read(account: Account, path: str) -> dict[str, Any]:
    """Return a message or a call as Twilio has it now; raises TransportError."""
    answer = request(account, "GET", path)
    if not answer.is_taken or not isinstance(answer.json, dict):
        raise refused(account, answer)
    return answer.json


def said(status: Any, error_code: Any) -> Said | None:
    """Translate a message's status; None when it says nothing of an arrival."""
    ours = STATUSES.get(str(status))
    if ours is None:
        return None
    return Said(status=ours, detail=told(status, error_code))


def told(status: Any, code: Any = None) -> str:
    """Return a status in Twilio's own words, with what it says beside it."""
    return f"Twilio: {status} ({code})" if code else f"Twilio: {status}"


def _is_since(created: Any, since: datetime) -> bool:
    try:
        return parsedate_to_datetime(str(created)) >= since
    except (ValueError, TypeError):
        # Without a date the text and the number must do.
        return True


def _advice(status: int, code: int) -> str:
    if status == 401 or code == 20003:
        return _("Twilio does not accept the account's SID or token. Enter them again.")
    return {
        20005: _("The Twilio account is not active."),
        21211: _("This is not a phone number that Twilio knows."),
        21408: _("Allow this country in Twilio's geographic permissions."),
        21606: _("The sender is no number of this account. Enter another one."),
        21608: _("A trial account sends only to numbers verified with Twilio."),
        21610: _("The receiver has answered STOP. They can answer START."),
        21614: _("This number takes no SMS."),
    }.get(code, "")
