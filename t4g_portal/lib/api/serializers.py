"""From a JSON object to checked values, and from a row to a JSON object.

What comes in passes DRF's fields, made strict. What goes out takes a shorter road: a
class knows once and for all how to read each of its fields, since walking DRF's for
every row takes longer than the database does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, ClassVar, cast

from django.db import models
from django.utils.translation import gettext as _
from rest_framework import serializers

from t4g_portal.lib.api import fields

Getter = Callable[[Any], Any]


class _Strict(serializers.Serializer):  # type: ignore[type-arg]
    """Refuses names it doesn't know, and writes rows by a plan made once."""

    _plan: ClassVar[tuple[tuple[str, Getter], ...] | None] = None

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {name: field.read_only for name, field in self.fields.items()}
            problems = {
                name: [
                    _("This field can't be written.")
                    if name in known
                    else _("There is no such field.")
                ]
                for name in data
                if known.get(name, True)
            }
            if problems:
                raise serializers.ValidationError(problems)
        return super().to_internal_value(data)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return self.represent(instance)

    @classmethod
    def represent(cls, row: Any) -> dict[str, Any]:
        """Return a row as its JSON object."""
        plan = cls.__dict__.get("_plan")
        if plan is None:
            plan = cls._plan = tuple(_plan(cls().fields.items()))
        return {name: get(row) for name, get in plan}


class StrictSerializer(_Strict):
    """The fields stand in the class."""


class StrictModelSerializer(_Strict, serializers.ModelSerializer):  # type: ignore[type-arg]
    """The fields are those of a model, with its limits."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: fields.Text,
        models.TextField: fields.Text,
        models.URLField: fields.Url,
        models.SlugField: fields.Slug,
        models.IntegerField: fields.Integer,
        models.BigIntegerField: fields.Integer,
        models.AutoField: fields.Integer,
        models.PositiveIntegerField: fields.Integer,
        models.PositiveSmallIntegerField: fields.Integer,
        models.SmallIntegerField: fields.Integer,
        models.FloatField: fields.Number,
        models.BooleanField: fields.Flag,
        models.DateTimeField: fields.Moment,
        models.DateField: fields.Day,
        models.TimeField: fields.Clock,
    }
    serializer_choice_field = fields.Choice
    serializer_related_field = fields.Ids


def _plan(named: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Getter]]:
    for name, field in named:
        if not field.write_only:
            yield name, _getter(field)


def _getter(field: Any) -> Getter:
    if isinstance(field, serializers.SerializerMethodField):
        said: Getter = getattr(field.parent, str(field.method_name))
        return said
    source = str(field.source)
    if isinstance(field, serializers.PrimaryKeyRelatedField):
        return attrgetter(f"{source}_id")
    read = attrgetter(source)
    if isinstance(field, serializers.ManyRelatedField):
        return lambda row: [other.pk for other in read(row).all()]
    if isinstance(field, serializers.ListSerializer):
        inside = cast(type[_Strict], type(field.child)).represent
        return lambda row: [inside(part) for part in _rows(read(row))]
    if isinstance(field, _Strict):
        one = type(field).represent
        return _unless_none(read, one)
    if isinstance(field, serializers.DateTimeField):
        return _unless_none(read, fields.write_moment)
    if isinstance(field, serializers.DateField):
        return _unless_none(read, lambda day: day.isoformat())
    if isinstance(field, fields.Clock):
        return _unless_none(read, fields.write_clock)
    return read


def _rows(parts: Any) -> Iterable[Any]:
    """Return the parts themselves, or those of a manager."""
    return parts.all() if isinstance(parts, models.Manager) else parts


def _unless_none(read: Getter, write: Getter) -> Getter:
    def get(row: Any) -> Any:
        value = read(row)
        return None if value is None else write(value)

    return get
