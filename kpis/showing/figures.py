"""Values as people read them: with their unit, in the reader's language. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

from django.utils.formats import number_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from t4g_portal.lib import wording

PERCENT = "%"
SECONDS = "s"
_MINUS = "\u2212"
# From there on a share needs no digit behind the point.
_COARSE = 10


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and its unit, apart because a card shows the unit smaller."""

    number: str
    unit: str

    def __str__(self) -> str:
        return f"{self.number}\u00a0{self.unit}" if self.unit else self.number


def figure(value: Decimal, *, unit: str, decimals: int) -> Figure:
    """Write a value with so many digits behind the point: "1,234", "users".

    A minute or more, in a unit of seconds, is written as a length.
    """
    if unit == SECONDS and value >= wording.MINUTE_S:
        return Figure(wording.duration(float(value)), "")
    return Figure(number(value, decimals), unit)


def number(value: Decimal, decimals: int) -> str:
    """Write a number, thousands grouped, with a real minus."""
    return _number(value, decimals, get_language())


# Pages say the same numbers again, and formatting by locale is slow.
@lru_cache(maxsize=8192)
def _number(value: Decimal, decimals: int, language: str | None) -> str:
    rounded = value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)
    # No "-0" for what was rounded away.
    said = number_format(abs(rounded), decimal_pos=decimals, force_grouping=True)
    return f"{_MINUS}{said}" if rounded < 0 else said


def share(ratio: float) -> str:
    """Write the size of a share of change: "12 %", "3.4 %"."""
    percents = abs(Decimal(repr(ratio))) * 100
    digits = 0 if percents >= _COARSE else 1
    return str(Figure(number(percents, digits), PERCENT))


def amount(value: Decimal, *, unit: str, decimals: int) -> str:
    """Write the size of a difference: "34 users", and points where the unit is %."""
    size = abs(value)
    if unit == PERCENT:
        return _("%(count)s points") % {"count": number(size, decimals)}
    return str(figure(size, unit=unit, decimals=decimals))


def sign(value: Decimal | float) -> str:
    """Return the sign that stands before a difference."""
    if value == 0:
        return ""
    return "+" if value > 0 else _MINUS
