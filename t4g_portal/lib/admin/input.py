"""What comes in and can't be true: caught before PostgreSQL or Django stumbles over it.

Django takes a wrong filter for a mistake and shows the list anew; these are the cases
that it leaves to the database.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import DataError, models
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest, QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminTextareaWidget

# PostgreSQL's texts have no such character.
NUL = "\0"
# A choice that no table has: the form says so at its field.
_NO_SUCH_CHOICE = "0"


class ForgivingChangeList(ChangeList):  # type: ignore[misc]
    """A list whose wrong filters are said to be wrong, even when they show late."""

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
        except (DataError, ValueError, OverflowError) as error:
            raise IncorrectLookupParameters(error) from error


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than anybody pages: a count of a table reads all of it."""

    most = 10_000

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: self.most].count())


class PlainJSONField(forms.JSONField):
    """JSON that PostgreSQL can keep and Python can read."""

    widget = UnfoldAdminTextareaWidget

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
        except RecursionError as error:
            raise self._refusal() from error
        if NUL in str(value) or "\\u0000" in str(value):
            raise self._refusal()
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            return super().bound_data(data, initial)
        except RecursionError:
            return InvalidJSONInput(data)

    def _refusal(self) -> ValidationError:
        return ValidationError(_("Write simple JSON, without the character U+0000."))


def has_nul(data: QueryDict) -> bool:
    """Whether any name or value holds the character that no text has."""
    return any(NUL in text for name, values in data.lists() for text in (name, *values))


def with_real_choices(
    data: QueryDict, *, model: type[models.Model], choices: Iterable[str]
) -> QueryDict:
    """Return posted data in which chosen rows have numbers that a row could have.

    `choices`: the fields that are completed while one types; Django looks their numbers
    up once more to show the form again, and fails. The rows ticked in a list likewise.
    """
    made = data.copy()
    if ACTION_CHECKBOX_NAME in made:
        ticked = made.getlist(ACTION_CHECKBOX_NAME)
        made.setlist(
            ACTION_CHECKBOX_NAME, [one for one in ticked if _is_key(model, one)]
        )
    for name in choices:
        if name in made:
            other: Any = model._meta.get_field(name).related_model
            made.setlist(
                name,
                [
                    one if not one or _is_key(other, one) else _NO_SUCH_CHOICE
                    for one in made.getlist(name)
                ],
            )
    return made


def _is_key(model: type[models.Model], number: str) -> bool:
    try:
        model._meta.pk.to_python(number)
    except ValidationError:
        return False
    return bool(number) and NUL not in number
