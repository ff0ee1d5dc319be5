"""What is asked of a source, and what it may answer. Pure.

A source answers with one finite number or with the reason why there is none. Unknown is
never zero: nothing here makes a number out of something else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from enum import StrEnum
from typing import Any, Protocol

from django.utils.translation import pgettext

# As `KpiPoint.value` keeps them.
VALUE_DECIMALS = 8
VALUE_WHOLE_DIGITS = 20
_STEP = Decimal(1).scaleb(-VALUE_DECIMALS)
# More than any double or sum of money needs to be rounded exactly.
_PRECISION = 60


class Reason(StrEnum):
    """Why there is no number; stored with the run."""

    TIMEOUT = "timeout"
    REFUSED_SQL = "refused_sql"
    PERMISSION = "permission"
    CONNECTION = "connection"
    TLS = "tls"
    BLOCKED_ADDRESS = "blocked_address"
    BAD_ANSWER = "bad_answer"
    PATH_MISSING = "path_missing"
    NOT_A_NUMBER = "not_a_number"
    OUT_OF_RANGE = "out_of_range"
    TOO_BIG = "too_big"
    TOO_DEEP = "too_deep"
    REDIRECT = "redirect"
    NO_ROWS = "no_rows"
    TOO_MANY_ROWS = "too_many_rows"
    TOO_MANY_COLUMNS = "too_many_columns"
    NULL = "null"
    NO_DATA = "no_data"
    ONLY_PRESENT = "only_present"
    MANUAL = "manual"
    UNSAFE_SOURCE = "unsafe_source"
    MISCONFIGURED = "misconfigured"
    NO_RESOURCES = "no_resources"
    INTERNAL = "internal"


# What another try may mend without anybody's doing.
_TEMPORARY = frozenset(
    (Reason.TIMEOUT, Reason.CONNECTION, Reason.NO_RESOURCES, Reason.INTERNAL)
)
# The source did answer, but not with a number.
_ANSWERED = frozenset(
    (
        *(Reason.NULL, Reason.NO_ROWS, Reason.NO_DATA, Reason.NOT_A_NUMBER),
        *(Reason.OUT_OF_RANGE, Reason.PATH_MISSING, Reason.TOO_MANY_ROWS),
        *(Reason.TOO_MANY_COLUMNS, Reason.ONLY_PRESENT, Reason.MANUAL),
    )
)


class UnableToRead(Exception):
    """A source gave no number.

    `message` is for everybody who may see the KPI: no SQL, no names of tables, no
    values, no secret. `detail` is what the source itself said, one line, for those who
    may see the definition. Both are English sentences to be stored (ADR 9).
    """

    def __init__(self, reason: Reason, message: str, *, detail: str = "") -> None:
        self.reason = reason
        self.message = message
        self.detail = detail
        super().__init__(reason, message)

    def __str__(self) -> str:
        return self.message

    @property
    def is_temporary(self) -> bool:
        """Whether the next try may well succeed, with nothing changed."""
        return self.reason in _TEMPORARY

    @property
    def has_answered(self) -> bool:
        """Whether the source works and simply has no number to give."""
        return self.reason in _ANSWERED


class Span(Protocol):
    """What a source must know of a bucket: the period, and from when on it looks back."""

    @property
    def start(self) -> datetime: ...

    @property
    def end(self) -> datetime: ...

    @property
    def looks_from(self) -> datetime: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything that a source needs to answer: whom to ask, and what.

    `secret` is in no repr. `time_zone` is what `:tz` stands for.
    """

    kind: str
    url: str = ""
    secret: str = field(default="", repr=False)
    header: str = "Authorization"
    timeout_s: float = 10.0
    allowed_tables: tuple[str, ...] = ()
    may_use_private_targets: bool = False
    sql: str = ""
    json_path: str = ""
    measure: str = ""
    measure_target: str = ""
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One number, how long it took, and (HTTP) the whole answer that it was found in."""

    value: Decimal
    took_ms: float
    rows: int = 1
    sample: Any = None


def number_of(found: object) -> Decimal:
    """Return what was found as a number with eight decimals. Raises UnableToRead."""
    # A bool is an int to Python, but "true" is no amount of anything.
    if found is None:
        raise UnableToRead(
            Reason.NULL,
            pgettext("stored", "The answer is empty (null): unknown, not zero"),
        )
    if isinstance(found, bool) or not isinstance(found, int | float | Decimal):
        raise UnableToRead(
            Reason.NOT_A_NUMBER,
            pgettext("stored", "The answer is %(kind)s, not a number")
            % {"kind": _kind_of(found)},
        )
    if isinstance(found, float):
        if not math.isfinite(found):
            raise _not_finite()
        # Its shortest form is what the source wrote.
        found = Decimal(repr(found))
    value = Decimal(found)
    if not value.is_finite():
        raise _not_finite()
    if value and value.adjusted() >= VALUE_WHOLE_DIGITS:
        raise UnableToRead(
            Reason.OUT_OF_RANGE,
            pgettext("stored", "The number has more than %(count)d digits")
            % {"count": VALUE_WHOLE_DIGITS},
        )
    with localcontext() as context:
        context.prec = _PRECISION
        rounded = value.quantize(_STEP, rounding=ROUND_HALF_EVEN)
    # No minus zero.
    return rounded if rounded else abs(rounded)


def _not_finite() -> UnableToRead:
    return UnableToRead(
        Reason.NOT_A_NUMBER,
        pgettext("stored", "The answer is not a finite number (NaN or infinity)"),
    )


def _kind_of(found: object) -> str:
    if isinstance(found, bool):
        return pgettext("stored", "yes or no")
    if isinstance(found, str):
        return pgettext("stored", "a text")
    if isinstance(found, Mapping):
        return pgettext("stored", "an object")
    if isinstance(found, list | tuple):
        return pgettext("stored", "a list")
    return pgettext("stored", "something else")
