"""OVHcloud's signed REST API."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.utils.translation import gettext as _

from notifications.transports import api
from notifications.transports.base import Account, TransportError

# Their clock is asked again after this, and at once when a signature is refused.
_CLOCK_FOR_S = 3600.0
_CLOCK_WORDS = ("INVALID_SIGNATURE", "QUERY_TIME_OUT")
# For one request, with the question for the time and a second signature.
_REQUEST_FOR_S = 20.0


class _Clocks:
    """How far each API's clock is from ours, in seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, float]] = {}

    def delta(self, base: str) -> int | None:
        with self._lock:
            delta, until = self._known.get(base, (0, 0.0))
        return delta if until > time.monotonic() else None

    def remember(self, base: str, delta: int) -> None:
        with self._lock:
            self._known[base] = (delta, time.monotonic() + _CLOCK_FOR_S)

    def forget(self, base: str) -> None:
        with self._lock:
            self._known.pop(base, None)


_clocks = _Clocks()


def request(
    account: Account,
    method: str,
    path: str,
    *,
    body: dict[str, Any] | None = None,
    query: dict[str, str] | None = None,
) -> api.ApiAnswer:
    """Ask for something below the SMS service; raises TransportError for no answer."""
    until = time.monotonic() + _REQUEST_FOR_S
    answer = _signed(account, method, path, body, query, until)
    if _error_code(answer) in _CLOCK_WORDS:
        _clocks.forget(settings.OVH_API_URL)
        answer = _signed(account, method, path, body, query, until)
    return answer


def signature(
    *, secret: str, consumer: str, method: str, url: str, body: str, at: int
) -> str:
    """Return the X-Ovh-Signature; `body` exactly as it is sent, `at` in their seconds."""
    signed = "+".join((secret, consumer, method, url, body, str(at)))
    return f"$1${hashlib.sha1(signed.encode()).hexdigest()}"  # noqa: S324 their scheme


def refused(account: Account, answer: api.ApiAnswer) -> TransportError:
    """Return the error that an answer other than 2xx means."""
    said = answer.text
    if isinstance(answer.json, dict) and answer.json.get("message"):
        said = account.scrub(str(answer.json["message"]))
    advice = ""
    if answer.status in {401, 403}:
        advice = _("Check the keys, and that they may use /sms.")
    elif answer.status == 404:
        advice = _("There is no such SMS service. Enter its name again.")
    return TransportError(
        f"{account.name}: HTTP {answer.status}: {said} {advice}".rstrip(),
        permanent=not answer.is_temporary,
        retry_after_s=answer.retry_after_s,
        is_providers_fault=True,
    )


def _signed(
    account: Account,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    query: dict[str, str] | None,
    until: float,
) -> api.ApiAnswer:
    base = settings.OVH_API_URL
    url = f"{base}/sms/{quote(account.account)}/{path}"
    if query:
        url += f"?{urlencode(query)}"
    # Signed as sent: what is made into JSON again may differ by a blank.
    text = json.dumps(body, separators=(",", ":")) if body is not None else ""
    at = int(time.time()) + _delta(account, base)
    headers = {
        "X-Ovh-Application": account.key_id,
        "X-Ovh-Consumer": account.second_secret,
        "X-Ovh-Timestamp": str(at),
        "X-Ovh-Signature": signature(
            secret=account.secret,
            consumer=account.second_secret,
            method=method,
            url=url,
            body=text,
            at=at,
        ),
    }
    if text:
        headers["Content-Type"] = "application/json;charset=utf-8"
    return api.call(
        account=account,
        method=method,
        url=url,
        headers=headers,
        content=text.encode(),
        deadline_s=min(api.DEADLINE_S, max(1.0, until - time.monotonic())),
    )


def _delta(account: Account, base: str) -> int:
    known = _clocks.delta(base)
    if known is not None:
        return known
    try:
        answer = api.call(
            account=account,
            method="GET",
            url=f"{base}/auth/time",
            headers={},
            deadline_s=5.0,
        )
    except TransportError as error:
        # Nothing but the time was asked for: no message has left.
        error.is_perhaps_taken = False
        raise
    if not answer.is_taken or not isinstance(answer.json, int):
        raise TransportError(
            _("%(name)s does not say what time it is: HTTP %(status)d")
            % {"name": account.name, "status": answer.status},
            permanent=not answer.is_temporary and not answer.is_taken,
            is_providers_fault=True,
        )
    delta = answer.json - int(time.time())
    _clocks.remember(base, delta)
    return delta


def _error_code(answer: api.ApiAnswer) -> str:
    if answer.is_taken or not isinstance(answer.json, dict):
        return ""
    return str(answer.json.get("errorCode") or "")
