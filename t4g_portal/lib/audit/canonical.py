"""One text for one value, so that equal values have equal hashes everywhere.

JSON with sorted keys (by code point), without spaces, in UTF-8. It has no floats: two
programs may print one differently, so numbers that aren't whole become text here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

_NUL = "\x00"


class UnableToCanonicalize(ValueError):
    """A value has no canonical text; the message names where it stands."""


def plain(value: object) -> Any:
    """Return a value as what JSON knows: None, bool, int, str, list and dict.

    Moments become UTC text such as `2026-03-02T09:00:00.000000Z`; Decimal, float, date
    and UUID become text. Raises UnableToCanonicalize for a moment without a zone, a key
    that is no text, text that PostgreSQL or UTF-8 can't hold, and any other type.
    """
    return _plain(value, "$")


def canonical(value: object) -> bytes:
    """Return the canonical text of a value; raises what `plain` raises."""
    return dumped(plain(value))


def digest(value: object) -> str:
    """Return the SHA-256 of a value's canonical text, as 64 lowercase hex digits."""
    return sha256(canonical(value)).hexdigest()


def dumped(value: object) -> bytes:
    """Return the canonical text of what is plain already, unchecked.

    Raises ValueError for a number that isn't finite and for half a surrogate pair.
    """
    return _encode(value).encode()


def moment(at: datetime) -> str:
    """Return an aware moment as UTC text with all six digits of its microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


def _plain(value: object, place: str) -> Any:
    # A member of an enum is its value, never its name.
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(str.__str__(value), place)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise UnableToCanonicalize(f"{place}: a moment without a zone")
        return moment(value)
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, Decimal | date | UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {
            _key(key, place): _plain(held, f"{place}.{key}")
            for key, held in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(held, f"{place}[{at}]") for at, held in enumerate(value)]
    raise UnableToCanonicalize(f"{place}: {type(value).__name__} has no canonical text")


def _key(key: object, place: str) -> str:
    if not isinstance(key, str):
        raise UnableToCanonicalize(f"{place}: the key {key!r} is no text")
    return _text(str.__str__(key), place)


def _text(text: str, place: str) -> str:
    if _NUL in text:
        raise UnableToCanonicalize(f"{place}: text with a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UnableToCanonicalize(f"{place}: text that is no Unicode") from error
    return text
