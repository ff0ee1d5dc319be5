"""Expectations on what a probe saw. Pure.

Patterns are RE2's, whose time is linear: with `re`, 28 characters of `(a+)+$` held a
process for 25 s.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jmespath
import re2
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext
from jmespath.exceptions import JMESPathError

from monitors.probes.base import AssertionSpec, UnableToParse
from monitors.probes.options import HEADER_NAME, parse_ranges
from monitors.probes.texts import one_line

SUBJECTS: Mapping[str, Any] = {
    "status": _("HTTP status"),
    "header": _("header"),
    "body": _("body"),
    "json": _("JSON value"),
    "latency": _("latency (ms)"),
    "days_left": _("certificate days left"),
    "answer": _("answer"),
}
OPERATORS: Mapping[str, Any] = {
    "equals": _("equals"),
    "not_equals": _("does not equal"),
    "contains": _("contains"),
    "not_contains": _("does not contain"),
    "matches": _("matches the pattern"),
    "not_matches": _("does not match the pattern"),
    "less_than": _("is less than"),
    "greater_than": _("is greater than"),
    "in_ranges": _("is in the ranges"),
    "exists": _("exists"),
    "is_missing": _("is missing"),
}

_NUMERIC_SUBJECTS = frozenset(("status", "latency", "days_left"))
_NUMERIC_OPERATORS = frozenset(
    ("equals", "not_equals", "less_than", "greater_than", "in_ranges")
)
_BARE_OPERATORS = frozenset(("exists", "is_missing"))
# Codecs an answer may choose. Not all of Python's: punycode takes quadratic time.
_CHARSETS = frozenset(
    ("utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "utf-16")
)
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.-]{1,40})", re.IGNORECASE)
_MAX_TEXT = 1000
_SHOWN = 80
_PATTERN_MEMORY_BYTES = 1024 * 1024


class _Missing:
    """What a subject is when the answer has none."""

    def __repr__(self) -> str:
        return "nothing"


_MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a probe saw; None or empty where its kind has no such thing.

    `latency_ms` in milliseconds, `days_left` in days. `is_truncated`: the body went on.
    """

    status: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes | None = None
    is_truncated: bool = False
    latency_ms: float | None = None
    days_left: float | None = None
    answer: str | None = None


def check(spec: AssertionSpec) -> None:
    """Raise UnableToParse when the expectation makes no sense."""
    if spec.subject not in SUBJECTS:
        raise UnableToParse("subject", pgettext("stored", "There is no such subject"))
    if spec.operator not in OPERATORS:
        raise UnableToParse(
            "operator", pgettext("stored", "There is no such comparison")
        )
    if len(spec.expected) > _MAX_TEXT or len(spec.argument) > _MAX_TEXT:
        raise UnableToParse(
            "expected",
            pgettext("stored", "At most %(count)d characters") % {"count": _MAX_TEXT},
        )
    is_numeric = spec.subject in _NUMERIC_SUBJECTS
    if is_numeric and spec.operator not in _NUMERIC_OPERATORS:
        raise UnableToParse("operator", pgettext("stored", "This subject is a number"))
    _check_argument(spec)
    _check_expected(spec, is_numeric=is_numeric)


def _check_argument(spec: AssertionSpec) -> None:
    if spec.subject == "header":
        if not HEADER_NAME.fullmatch(spec.argument):
            raise UnableToParse("argument", pgettext("stored", "Name the header"))
    elif spec.subject == "json":
        try:
            _path(spec.argument)
        except (JMESPathError, RecursionError) as exc:
            raise UnableToParse(
                "argument",
                pgettext("stored", "This is not a JMESPath: services.db.status"),
            ) from exc
    elif spec.argument:
        raise UnableToParse(
            "argument", pgettext("stored", "This subject takes no argument")
        )


def _check_expected(spec: AssertionSpec, *, is_numeric: bool) -> None:
    if spec.operator in _BARE_OPERATORS:
        if spec.expected:
            raise UnableToParse(
                "expected", pgettext("stored", "Nothing is compared here")
            )
    elif spec.operator in ("matches", "not_matches"):
        try:
            _pattern(spec.expected)
        except re2.error as exc:
            raise UnableToParse(
                "expected", pgettext("stored", "This is not an RE2 pattern")
            ) from exc
    elif spec.operator == "in_ranges":
        try:
            parse_ranges(spec.expected)
        except ValueError as exc:
            raise UnableToParse("expected", str(exc)) from exc
    elif is_numeric or spec.operator in ("less_than", "greater_than"):
        if _number(spec.expected) is None:
            raise UnableToParse("expected", pgettext("stored", "Give a number"))
    elif spec.operator in ("contains", "not_contains") and not spec.expected:
        raise UnableToParse("expected", pgettext("stored", "Say what to look for"))


def describe(spec: AssertionSpec) -> str:
    """The expectation as one plain phrase: `JSON services.db equals "ok"`."""
    phrase = f"{_name(spec)} {OPERATORS.get(spec.operator, spec.operator)}"
    if spec.operator in _BARE_OPERATORS:
        return phrase
    if spec.subject in _NUMERIC_SUBJECTS or spec.operator in (
        "less_than",
        "greater_than",
        "in_ranges",
    ):
        return f"{phrase} {spec.expected}"
    return f"{phrase} {_quoted(spec.expected)}"


def judge(specs: Iterable[AssertionSpec], seen: Seen) -> str | None:
    """The first expectation that isn't met, with what was seen; None when all are.

    As text: `JSON services.db: expected "ok", saw "down"`. The specs have passed
    `check`; one that hasn't counts as not met.
    """
    document: Any = None
    for spec in specs:
        if spec.subject == "json":
            if document is None:
                document = _Document(seen)
            if document.problem:
                return f"{_name(spec)}: {document.problem}"
            value = document.value_at(spec.argument)
        else:
            value = _SUBJECT_READERS[spec.subject](spec, seen)
        if not _holds(spec, value):
            return f"{_name(spec)}: {_difference(spec, value)}"
    return None


class _Document:
    """The body read as JSON once, however many expectations look into it."""

    def __init__(self, seen: Seen) -> None:
        self.problem = ""
        self._value: Any = None
        if seen.is_truncated:
            self.problem = pgettext(
                "stored", "the answer is too large to be read as JSON"
            )
            return
        try:
            self._value = json.loads(seen.body or b"")
        except (ValueError, RecursionError):
            self.problem = pgettext("stored", "the answer is not JSON")

    def value_at(self, path: str) -> Any:
        try:
            value = _path(path).search(self._value)
        except (JMESPathError, RecursionError, TypeError, ValueError, ArithmeticError):
            return _MISSING
        return _MISSING if value is None else value


def _header(spec: AssertionSpec, seen: Seen) -> Any:
    name = spec.argument.lower().encode()
    values = [value for key, value in seen.headers if key.lower() == name]
    return b", ".join(values).decode("utf-8", "replace") if values else _MISSING


def _body(spec: AssertionSpec, seen: Seen) -> Any:
    if seen.body is None:
        return _MISSING
    content_type = next(
        (value for key, value in seen.headers if key.lower() == b"content-type"), b""
    )
    found = _CHARSET.search(content_type.decode("latin-1"))
    charset = found[1].lower() if found else "utf-8"
    return seen.body.decode(charset if charset in _CHARSETS else "utf-8", "replace")


def _or_missing(value: Any) -> Any:
    return _MISSING if value is None else value


_SUBJECT_READERS: Mapping[str, Callable[[AssertionSpec, Seen], Any]] = {
    "status": lambda _spec, seen: _or_missing(seen.status),
    "header": _header,
    "body": _body,
    "latency": lambda _spec, seen: _or_missing(seen.latency_ms),
    "days_left": lambda _spec, seen: _or_missing(seen.days_left),
    "answer": lambda _spec, seen: _or_missing(seen.answer),
}


def _holds(spec: AssertionSpec, value: Any) -> bool:
    expected = spec.expected
    match spec.operator:
        case "exists":
            return value is not _MISSING
        case "is_missing":
            return value is _MISSING
        case "equals":
            return _equals(value, expected)
        case "not_equals":
            return not _equals(value, expected)
        case "contains":
            return _contains(value, expected)
        case "not_contains":
            return not _contains(value, expected)
        case "matches":
            return _matches(value, expected)
        case "not_matches":
            return not _matches(value, expected)
    number = _number(value)
    if number is None:
        return False
    if spec.operator == "in_ranges":
        return any(low <= number <= high for low, high in parse_ranges(expected))
    border = _number(expected)
    if border is None:
        return False
    return number < border if spec.operator == "less_than" else number > border


def _equals(value: Any, expected: str) -> bool:
    """Typed text against a value: `true`, `null` and `5.0` mean what JSON means."""
    if isinstance(value, str):
        return value == expected
    if value is _MISSING or value is None:
        return expected.strip() == "null"
    try:
        wanted = json.loads(expected)
    except (ValueError, RecursionError):
        return False
    return bool(wanted == value and isinstance(wanted, bool) == isinstance(value, bool))


def _contains(value: Any, expected: str) -> bool:
    if isinstance(value, str):
        return expected in value
    if isinstance(value, list):
        return any(_equals(item, expected) for item in value)
    if isinstance(value, dict):
        return expected in value
    return False if value is _MISSING else expected in _as_text(value)


def _matches(value: Any, pattern: str) -> bool:
    if value is _MISSING:
        return False
    return _pattern(pattern).search(_as_text(value)) is not None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _name(spec: AssertionSpec) -> str:
    match spec.subject:
        case "status":
            return pgettext("stored", "Status")
        case "header":
            return pgettext("stored", "Header %(name)s") % {"name": spec.argument}
        case "json":
            return pgettext("stored", "JSON %(path)s") % {
                "path": one_line(spec.argument)
            }
        case "body":
            return pgettext("stored", "Body")
        case "latency":
            return pgettext("stored", "Latency")
        case "days_left":
            return pgettext("stored", "Certificate days left")
    return pgettext("stored", "Answer")


def _quoted(text: str) -> str:
    # A short text as it is: a space at its end may be the whole difference.
    if len(text) <= _SHOWN and text.isprintable():
        return f'"{text}"'
    return f'"{one_line(text, limit=_SHOWN)}"'


def _shown(spec: AssertionSpec, value: Any) -> str:
    if value is _MISSING:
        return pgettext("stored", "nothing")
    if spec.subject == "latency":
        return f"{value:.0f}"
    if spec.subject == "days_left":
        # Rounded down: 13.96 days must not read as the 14 it fell below.
        return f"{math.floor(value * 10) / 10:g}"
    return _quoted(value) if isinstance(value, str) else one_line(_as_text(value))


def _difference(spec: AssertionSpec, value: Any) -> str:
    wanted = _quoted(spec.expected)
    if spec.subject in _NUMERIC_SUBJECTS:
        wanted = one_line(spec.expected)
    template = {
        "equals": pgettext("stored", "expected %(wanted)s, saw %(seen)s"),
        "not_equals": pgettext(
            "stored", "expected anything but %(wanted)s, saw %(seen)s"
        ),
        "contains": pgettext("stored", "expected to contain %(wanted)s, saw %(seen)s"),
        "not_contains": pgettext(
            "stored", "expected not to contain %(wanted)s, saw %(seen)s"
        ),
        "matches": pgettext("stored", "expected to match %(wanted)s, saw %(seen)s"),
        "not_matches": pgettext(
            "stored", "expected not to match %(wanted)s, saw %(seen)s"
        ),
        "less_than": pgettext("stored", "expected less than %(plain)s, saw %(seen)s"),
        "greater_than": pgettext(
            "stored", "expected more than %(plain)s, saw %(seen)s"
        ),
        "in_ranges": pgettext("stored", "expected %(plain)s, saw %(seen)s"),
        "exists": pgettext("stored", "expected, but missing"),
        "is_missing": pgettext("stored", "expected to be missing, saw %(seen)s"),
    }[spec.operator]
    return template % {
        "wanted": wanted,
        "plain": one_line(spec.expected),
        "seen": _shown(spec, value),
    }


@lru_cache(maxsize=256)
def _pattern(text: str) -> Any:
    options = re2.Options()
    options.max_mem = _PATTERN_MEMORY_BYTES
    options.log_errors = False
    return re2.compile(text, options)


@lru_cache(maxsize=1024)
def _path(text: str) -> Any:
    return jmespath.compile(text)
