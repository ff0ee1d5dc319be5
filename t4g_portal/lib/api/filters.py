"""Filters of lists: a parameter that makes no sense is refused, never left out."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema_field
from rest_framework.request import Request

from t4g_portal.lib.api.fields import read_moment
from t4g_portal.lib.api.problems import QueryInvalid

_ID = re.compile(r"[1-9][0-9]{0,17}")


class Filters(django_filters.FilterSet):  # type: ignore[misc]
    """Which rows of a list; a subclass names the parameters."""


class StrictFilters(DjangoFilterBackend):  # type: ignore[misc]
    """Applies the view's `filterset_class`; raises QueryInvalid."""

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: Any
    ) -> QuerySet[Any]:
        named = getattr(self.get_filterset_class(view, queryset), "base_filters", {})
        if not named.keys() & request.query_params.keys():
            # Making a filterset copies all its filters.
            return queryset
        filterset = self.get_filterset(request, queryset, view)
        if not filterset.is_valid():
            raise QueryInvalid(
                {name: str(errors[0]) for name, errors in filterset.errors.items()}
            )
        found: QuerySet[Any] = filterset.qs
        return found


class IdField(forms.Field):
    """The number of a row, as an address has it."""

    def to_python(self, value: Any) -> int | None:
        if value in self.empty_values:
            return None
        if not _ID.fullmatch(str(value)):
            raise forms.ValidationError(_("Give the number of one."))
        return int(value)


class MomentField(forms.Field):
    """A time with its offset."""

    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            return read_moment(str(value))
        except ValueError as error:
            raise forms.ValidationError(
                _("Write a time with its offset, such as 2026-03-02T09:00:00Z.")
            ) from error


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": 10**18 - 1})
class IdFilter(django_filters.Filter):  # type: ignore[misc]
    """The number of a row."""

    field_class = IdField


@extend_schema_field({"type": "string", "format": "date-time"})
class MomentFilter(django_filters.Filter):  # type: ignore[misc]
    """A time with its offset."""

    field_class = MomentField


@extend_schema_field({"type": "boolean"})
class FlagFilter(django_filters.TypedChoiceFilter):  # type: ignore[misc]
    """`true` or `false`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(
            *args,
            choices=[("true", _("true")), ("false", _("false"))],
            coerce=lambda value: value == "true",
            **kwargs,
        )


class WordFilter(django_filters.ChoiceFilter):  # type: ignore[misc]
    """One of some words."""


@extend_schema_field({"type": "string", "minLength": 1, "maxLength": 100})
class TextFilter(django_filters.CharFilter):  # type: ignore[misc]
    """A text of a sane length."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, max_length=100, strip=False, **kwargs)
