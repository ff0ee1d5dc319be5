"""Figures from a JSON document that somebody serves over HTTP.

It tells about the present only, so the past can't be asked for.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from django.utils.translation import pgettext

from kpis.reading import Question, Reading, Reason, Span, UnableToRead
from kpis.sources import json_paths
from kpis.sources.addresses import check_header, check_secret, check_url
from kpis.sources.postgres import is_public
from monitors.probes.texts import one_line
from t4g_portal.lib.egress import (
    BlockedAddress,
    UnableToResolve,
    guarded_client,
    resolve_blocking,
)

MAX_BODY_BYTES = 256 * 1024
MAX_REDIRECTS = 3
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
# Several KPIs read one document: whoever asks so soon after another gets the same, also the
# same failure, instead of waiting for it again.
SHARED_S = 2.0
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A JSON document, and how long it took to get it."""

    document: Any = field(repr=False)
    took_ms: float


# Of this process, by all that was asked.
_RECENT: dict[str, tuple[float, Fetched | UnableToRead]] = {}


def read(
    question: Question, buckets: Sequence[Span], now: datetime
) -> Generator[Reading | UnableToRead, None, None]:
    """Answer for the buckets that `now` lies in, with one request for all of them."""
    fetched: Fetched | UnableToRead | None = None
    for bucket in buckets:
        if not bucket.start <= now < bucket.end:
            yield UnableToRead(
                Reason.ONLY_PRESENT,
                pgettext("stored", "The source tells of the present only"),
            )
            continue
        if fetched is None:
            fetched = _fetched(question)
        yield _answer(question, fetched)


def _fetched(question: Question) -> Fetched | UnableToRead:
    """Fetch, or take what another KPI of the same source has just fetched."""
    key = _key(question)
    at, found = _RECENT.get(key, (-math.inf, None))
    if found is None or time.monotonic() - at > SHARED_S:
        try:
            found = fetch(question)
        except UnableToRead as exc:
            found = exc
        now = time.monotonic()
        for old in [one for one, (at, _) in _RECENT.items() if now - at > SHARED_S]:
            _RECENT.pop(old, None)
        _RECENT[key] = (now, found)
    return found


def _key(question: Question) -> str:
    asked = (
        *(question.url, question.header, question.secret),
        *(question.may_use_private_targets, question.timeout_s),
    )
    return hashlib.sha256(repr(asked).encode()).hexdigest()


def _answer(
    question: Question, fetched: Fetched | UnableToRead
) -> Reading | UnableToRead:
    if isinstance(fetched, UnableToRead):
        return fetched
    try:
        value = json_paths.number_at(fetched.document, question.json_path)
    except UnableToRead as exc:
        return exc
    return Reading(
        value=value,
        took_ms=fetched.took_ms,
        sample=json_paths.sample_of(fetched.document),
    )


def fetch(question: Question) -> Fetched:
    """Get the document. Raises UnableToRead.

    Redirects are followed within the scheme, host and port that the source names: nothing
    that a server says sends us, or the token, anywhere else.
    """
    check_url(question.url)
    headers = _headers(question)
    started = time.monotonic()
    deadline = started + question.timeout_s
    _check_way(question)
    url = question.url
    for _hop in range(MAX_REDIRECTS + 1):
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise _timed_out(question)
        status, location, body = _get(question, url, headers, remaining_s)
        if status not in _REDIRECTS:
            return Fetched(
                document=json_paths.parsed(body),
                took_ms=(time.monotonic() - started) * 1000,
            )
        url = _redirected(url, location)
    raise UnableToRead(
        Reason.REDIRECT, pgettext("stored", "The source redirects in circles")
    )


def _headers(question: Question) -> dict[str, str]:
    headers = {"Accept": "application/json"}
    if not question.secret:
        return headers
    check_header(question.header)
    check_secret(question.secret)
    value = question.secret
    # "Basic …" and the like bring their own word along.
    if question.header.lower() == "authorization" and " " not in value:
        value = f"Bearer {value}"
    return {**headers, question.header: value}


def _check_way(question: Question) -> None:
    """Refuse to send a token where everybody could read it."""
    parts = urlsplit(question.url)
    if parts.scheme == "https" or not question.secret:
        return
    try:
        addresses = resolve_blocking(
            host=str(parts.hostname),
            timeout_s=question.timeout_s,
            may_use_private=question.may_use_private_targets,
        )
    except BlockedAddress as exc:
        raise UnableToRead(Reason.BLOCKED_ADDRESS, str(exc)) from exc
    except UnableToResolve as exc:
        raise UnableToRead(Reason.CONNECTION, str(exc)) from exc
    except TimeoutError as exc:
        raise _timed_out(question) from exc
    if any(is_public(one) for one in addresses):
        raise UnableToRead(
            Reason.UNSAFE_SOURCE,
            pgettext("stored", "A token isn't sent without TLS; use https://"),
        )


def _get(
    question: Question, url: str, headers: dict[str, str], timeout_s: float
) -> tuple[int, str, bytes]:
    """Return status, where it redirects to, and the body of a good answer."""
    client = guarded_client(
        timeout_s=timeout_s, may_use_private=question.may_use_private_targets
    )
    try:
        with client, client.stream("GET", url, headers=headers) as answer:
            status = answer.status_code
            if status in _REDIRECTS:
                return status, answer.headers.get("Location", ""), b""
            _check_answer(answer)
            return status, "", _body(answer)
    except BlockedAddress as exc:
        raise UnableToRead(Reason.BLOCKED_ADDRESS, str(exc)) from exc
    except httpx.TimeoutException as exc:
        raise _timed_out(question) from exc
    except (httpx.TransportError, httpx.InvalidURL, UnicodeError) as exc:
        raise _lost(exc, question) from exc


def _check_answer(answer: httpx.Response) -> None:
    if answer.status_code in (401, 403):
        raise UnableToRead(
            Reason.PERMISSION,
            pgettext("stored", "The source refuses the token (HTTP %(status)d)")
            % {"status": answer.status_code},
        )
    if answer.status_code != 200:
        is_ours = answer.status_code >= 500 or answer.status_code == 429
        raise UnableToRead(
            Reason.CONNECTION if is_ours else Reason.BAD_ANSWER,
            pgettext("stored", "The source answers HTTP %(status)d")
            % {"status": answer.status_code},
        )
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnableToRead(
            Reason.BAD_ANSWER,
            pgettext("stored", "The source answers something else than JSON"),
            detail=one_line(kind, limit=100),
        )


def _body(answer: httpx.Response) -> bytes:
    body = bytearray()
    for piece in answer.iter_raw():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise UnableToRead(
                Reason.TOO_BIG,
                pgettext("stored", "The answer is larger than %(count)d KB")
                % {"count": MAX_BODY_BYTES // 1024},
            )
    return bytes(body)


def _redirected(url: str, location: str) -> str:
    """Return where to go on; raises UnableToRead when that is another place."""
    try:
        target = urljoin(url, location)
        if location and _origin(target) == _origin(url):
            check_url(target)
            return target
    except (ValueError, UnableToRead):
        pass
    raise UnableToRead(
        Reason.REDIRECT,
        pgettext(
            "stored",
            "The source redirects to another place; enter that address if it is right",
        ),
    )


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def _lost(exc: Exception, question: Question) -> UnableToRead:
    text = one_line(str(exc), limit=200)
    if question.secret:
        text = text.replace(question.secret, "***")
    if "larger than" in text:
        return UnableToRead(
            Reason.TOO_BIG,
            pgettext("stored", "The answer is larger than %(count)d KB")
            % {"count": MAX_BODY_BYTES // 1024},
        )
    if "CERTIFICATE" in text.upper() or "SSL" in text.upper():
        return UnableToRead(
            Reason.TLS,
            pgettext("stored", "No safe connection: %(why)s") % {"why": text},
        )
    return UnableToRead(
        Reason.CONNECTION,
        pgettext("stored", "The source can't be reached"),
        detail=text,
    )


def _timed_out(question: Question) -> UnableToRead:
    return UnableToRead(
        Reason.TIMEOUT,
        pgettext("stored", "No answer within %(timeout)s s")
        % {"timeout": f"{question.timeout_s:g}"},
    )
