"""Fields that take a JSON value for what it is: "5" is no number and 1 is not true.

Whoever scripts against us learns of a mistake at once, not from a wrong row.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.relations import MANY_RELATION_KWARGS

from t4g_portal.lib.commits import COMMIT
from t4g_portal.lib.zones import YEARS

# RFC 3339, section 5.6.
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})"
)
_DAY = re.compile(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}")
# Also the pattern in the schema.
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"
# Rows that one field may name.
MAX_RELATED = 500


def read_moment(text: str) -> datetime:
    """Return an RFC 3339 time in UTC; raises ValueError for anything else."""
    if not _MOMENT.fullmatch(text):
        raise ValueError("not RFC 3339")
    # Python keeps microseconds; a finer fraction is cut.
    text = re.sub(r"(\.\d{6})\d+", r"\1", text.upper())
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error
    if moment.year not in YEARS:
        raise ValueError("out of range")
    return moment


def write_clock(clock: time) -> str:
    """Return a time on the clock as answers have it; seconds only when there are some."""
    return clock.isoformat("seconds" if clock.second else "minutes")


def write_moment(moment: datetime) -> str:
    """Return a time as answers have it: UTC, with a Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Text(serializers.CharField):
    """A text, kept as it was sent."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trim_whitespace", False)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class Url(serializers.URLField):
    """An absolute web address, or nothing."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class Slug(serializers.SlugField):
    """Letters, digits, `-` and `_`."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class Choice(serializers.ChoiceField):
    """One of some words."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid_choice", input=data)
        return super().to_internal_value(data)


class Integer(serializers.IntegerField):
    """A whole number. 5.0 is one, as JSON Schema has it."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, float) and data.is_integer():
            data = int(data)
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return int(data)


class Number(serializers.FloatField):
    """A finite number."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        try:
            number = float(data)
        except OverflowError:
            self.fail("invalid")
        if not math.isfinite(number):
            self.fail("invalid")
        return number


class Flag(serializers.BooleanField):
    """True or false."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Moment(serializers.DateTimeField):
    """A time with its offset (RFC 3339); answers have it in UTC."""

    default_error_messages = {
        "invalid": _("Write a time with its offset, such as 2026-03-02T09:00:00Z."),
    }

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            self.fail("invalid", format="RFC 3339")
        try:
            return read_moment(value)
        except ValueError:
            self.fail("invalid", format="RFC 3339")

    def to_representation(self, value: Any) -> Any:
        return write_moment(value)


class Day(serializers.DateField):
    """A day (RFC 3339, full-date), without a zone."""

    default_error_messages = {"invalid": _("Write a day, such as 2026-03-31.")}

    def to_internal_value(self, value: Any) -> date:
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            self.fail("invalid", format="RFC 3339")
        found: date = super().to_internal_value(value)
        return found

    def to_representation(self, value: Any) -> Any:
        return value.isoformat()


@extend_schema_field({"type": "string", "pattern": CLOCK})
class Clock(serializers.TimeField):
    """A time on some clock, to the minute or second; it has no offset."""

    default_error_messages = {
        "invalid": _("Write a time on the clock, such as 09:00."),
    }

    def to_internal_value(self, value: Any) -> time:
        if not isinstance(value, str) or not re.fullmatch(CLOCK, value):
            self.fail("invalid", format="HH:MM")
        return time.fromisoformat(value)

    def to_representation(self, value: Any) -> Any:
        return write_clock(value)


class Texts(serializers.ListField):
    """A list of texts, each counted once."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("child", Text(max_length=40))
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            self.fail("not_a_list", input_type=type(data).__name__)
        return list(dict.fromkeys(super().to_internal_value(data)))


class ManyIds(serializers.ManyRelatedField):
    """The numbers of other rows, looked up at once."""

    default_error_messages = {
        "too_many": _("At most {most} of them."),
        "no_number": _("Write the numbers of rows."),
        "missing": _("There is none with the number {number}."),
    }

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            self.fail("not_a_list", input_type=type(data).__name__)
        if len(data) > MAX_RELATED:
            self.fail("too_many", most=MAX_RELATED)
        for number in data:
            if isinstance(number, bool) or not isinstance(number, int):
                self.fail("no_number")
            if not 0 < number < 2**63:
                self.fail("missing", number=number)
        relation: Any = self.child_relation
        rows = relation.get_queryset().in_bulk(data)
        for number in data:
            if number not in rows:
                self.fail("missing", number=number)
        return list(rows.values())


class Ids(serializers.PrimaryKeyRelatedField):  # type: ignore[type-arg]
    """The number of another row."""

    def __init__(self, **kwargs: Any) -> None:
        if not kwargs.get("read_only"):
            kwargs.setdefault("pk_field", Integer(min_value=1, max_value=2**63 - 1))
        super().__init__(**kwargs)

    @classmethod
    def many_init(cls, *args: Any, **kwargs: Any) -> ManyIds:
        outside = {
            name: value
            for name, value in kwargs.items()
            if name in MANY_RELATION_KWARGS
        }
        return ManyIds(child_relation=cls(*args, **kwargs), **outside)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("incorrect_type", data_type=type(data).__name__)
        return super().to_internal_value(data)


class BySlug(serializers.SlugRelatedField):  # type: ignore[type-arg]
    """Another row by its slug, as pipelines know it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="slug", **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "pattern": COMMIT})
class Sha(Text):
    """A commit in lowercase hexadecimal."""

    default_error_messages = {
        "no_commit": _("Give the commit: 7 to 64 hexadecimal digits, in lower case."),
    }

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not re.fullmatch(COMMIT, text):
            self.fail("no_commit")
        return text


class Mapping(serializers.DictField):
    """An object of texts."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("child", Text(max_length=200, allow_blank=True))
        super().__init__(**kwargs)
