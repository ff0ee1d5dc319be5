"""Takes secrets out of a line of the log before it is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from functools import lru_cache
from typing import Any

HIDDEN = "[scrubbed]"
# Shorter ones would hide ordinary words.
_SHORTEST_KNOWN = 8
_DEEPEST = 6

_TELLING = (
    r"(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|signature|session(?:id)?|csrfmiddlewaretoken)"
)
_HIDDEN_KEY = re.compile(rf"(?i)(?:{_TELLING}|authorization|cookie)s?$")
# Each keeps what tells where the secret was.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # user:password@host in any address.
        (r"(\b[a-zA-Z][\w+.-]*://[^\s/:@\"']*):[^\s/@\"']+@", rf"\1:{HIDDEN}@"),
        (
            r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)"
            r"([\"']?\s*[:=]\s*[\"']?)[^\r\n\"']+",
            rf"\1\2{HIDDEN}",
        ),
        (r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{16,}", rf"\1 {HIDDEN}"),
        # Addresses that are secrets themselves.
        (
            r"(?i)(hooks\.slack\.com/\w+|discord(?:app)?\.com/api/webhooks"
            r"|webhook\.office\.com|api\.telegram\.org)/[^\s\"'<>]+",
            rf"\1/{HIDDEN}",
        ),
        (r"(/feeds/on-call/)[^\s/?\"'<>]+", rf"\1{HIDDEN}"),
        (r"(/ping/)[^\s/?\"'<>]+", rf"\1{HIDDEN}"),
        # The link with which somebody acknowledges.
        (r"(/a/)\d+-\d+\.[\w.]+", rf"\1{HIDDEN}"),
        # Keys of our own API, Slack's and others' tokens, signed tokens.
        (r"\b(t4g_[A-Za-z0-9]+)_[\w-]{16,}", rf"\1_{HIDDEN}"),
        (r"\bxox[a-z]-[\w-]{8,}", HIDDEN),
        (r"\b(?:gh[pousr]|sk|pk|rk)_\w{16,}", HIDDEN),
        (r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*", HIDDEN),
        # A key of PORTAL_DATA_KEYS.
        (r"\b([\w-]{1,32}):[\w+/-]{43}=", rf"\1:{HIDDEN}"),
        (
            r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)",
            HIDDEN,
        ),
        # name=value, as in queries, forms and connection strings; 'name': 'value'.
        (
            rf"(?i)({_TELLING}=)(?!\[scrubbed\])[^\s&;,\"')}}\]]+",
            rf"\1{HIDDEN}",
        ),
        (
            rf"(?i)([\"']\w*{_TELLING}[\"']\s*:\s*[\"'])[^\"']+",
            rf"\1{HIDDEN}",
        ),
    )
)


def scrub(text: str, *, known: Iterable[str] = ()) -> str:
    """Return the text without what looks like a secret, nor any that is known."""
    for secret in known:
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def scrub_event(
    logger: Any, name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Scrub every value of a line; structlog's processor."""
    known = _known()
    for key, value in event.items():
        event[key] = _scrub_value(key, value, known, 0)
    return event


def _scrub_value(key: object, value: Any, known: tuple[str, ...], depth: int) -> Any:
    if isinstance(key, str) and _HIDDEN_KEY.search(key):
        return HIDDEN
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth < _DEEPEST:
        if isinstance(value, dict):
            return {k: _scrub_value(k, v, known, depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [_scrub_value("", one, known, depth + 1) for one in value]
    return scrub(value if isinstance(value, str) else str(value), known=known)


@lru_cache(maxsize=1)
def _known() -> tuple[str, ...]:
    """Return the secrets of this copy, the longest first."""
    from django.conf import settings

    rings = str(settings.PORTAL_DATA_KEYS).split(",")
    found = {
        str(settings.SECRET_KEY),
        str(settings.EMAIL_HOST_PASSWORD),
        str(settings.DATABASES["default"].get("PASSWORD", "")),
        *(ring.partition(":")[2].strip().rstrip("=") for ring in rings),
    }
    long_enough = (one for one in found if len(one) >= _SHORTEST_KNOWN)
    return tuple(sorted(long_enough, key=len, reverse=True))
