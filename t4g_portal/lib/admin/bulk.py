"""Edit many rows at once: see first what would become of each, then all or none.

The page holds what was typed and, once something was, a preview; its state token says
which rows and values were shown. Applying locks the rows and compares: what changed in
between is shown again instead of being overwritten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DataError, IntegrityError, models, transaction
from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from t4g_portal.lib.fingerprints import fingerprint_of_many
from t4g_portal.lib.history.reading import Line, said
from t4g_portal.lib.history.tracking import without_secrets

MOST_ROWS = 500
ADD, REMOVE = "add_", "remove_"

# Says what is wrong with a row as it would become; given the names that change.
Faults = Callable[[Any, Sequence[str]], Iterable[str]]


class UnableToApply(Exception):
    """Nothing was written, and the message says why."""


@dataclass(slots=True)
class Outcome:
    """What would become of one row."""

    row: Any
    lines: list[Line] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of all of them. `state` is compared when it is applied."""

    outcomes: list[Outcome]
    state: str

    @property
    def changed(self) -> list[Outcome]:
        """The rows that would change and may."""
        return [one for one in self.outcomes if one.lines and not one.faults]

    @property
    def refused(self) -> list[Outcome]:
        """The rows that stand in the way."""
        return [one for one in self.outcomes if one.faults]

    @property
    def same_count(self) -> int:
        """How many rows are so already."""
        return sum(not one.lines and not one.faults for one in self.outcomes)

    @property
    def can_apply(self) -> bool:
        """Whether there is something to do and nothing in the way."""
        return bool(self.changed) and not self.refused


def form_for(
    model: type[models.Model], names: Sequence[str], data: QueryDict | None = None
) -> forms.Form:
    """Return a form of some columns in which whatever is empty stays as it is."""
    made: dict[str, forms.Field] = {}
    for name in names:
        column: Any = model._meta.get_field(name)
        if isinstance(column, ArrayField):
            label = capfirst(column.verbose_name)
            made[ADD + name] = _words(_("%(label)s: add") % {"label": label})
            made[REMOVE + name] = _words(_("%(label)s: remove") % {"label": label})
        else:
            made[name] = _field(column)
    form_class: type[forms.Form] = type("BulkForm", (forms.Form,), made)
    return form_class(data)


def _words(label: str) -> forms.Field:
    return forms.CharField(
        label=label,
        required=False,
        max_length=400,
        help_text=gettext_lazy("Separated by commas."),
        widget=forms.TextInput({"class": "ops-field"}),
    )


def _field(column: Any) -> forms.Field:
    as_it_is = _("leave as it is")
    label = capfirst(column.verbose_name)
    widget = forms.Select({"class": "ops-field"})
    if isinstance(column, models.BooleanField):
        return forms.TypedChoiceField(
            label=label,
            required=False,
            choices=[("", as_it_is), ("yes", _("yes")), ("no", _("no"))],
            coerce=lambda value: value == "yes",
            empty_value=None,
            widget=widget,
        )
    if isinstance(column, models.ForeignKey):
        model: Any = column.related_model
        return forms.ModelChoiceField(
            label=label,
            required=False,
            queryset=without_secrets(model).order_by("name"),
            empty_label=as_it_is,
            widget=widget,
        )
    if column.flatchoices:
        return forms.TypedChoiceField(
            label=label,
            required=False,
            choices=[("", as_it_is), *column.flatchoices],
            empty_value=None,
            widget=widget,
        )
    found: forms.Field = column.formfield(required=False, initial=None, label=label)
    found.widget.attrs |= {"class": "ops-field", "placeholder": as_it_is}
    found.help_text = ""
    return found


def values_of(form: forms.Form) -> dict[str, Any]:
    """Return what was typed into a valid form."""
    values: dict[str, Any] = {}
    for name, value in form.cleaned_data.items():
        if name.startswith((ADD, REMOVE)):
            words = [word.strip() for word in value.split(",") if word.strip()]
            if words:
                values[name] = words
        elif value not in (None, ""):
            values[name] = value
    return values


def preview(*, rows: Iterable[Any], values: dict[str, Any], faults: Faults) -> Preview:
    """Return what would become of rows; they are changed in memory alone."""
    found = list(rows)
    keys = [row.pk for row in found]
    state = _state(type(found[0]), keys, values) if found else ""
    return Preview(
        outcomes=[_outcome(row, values, faults) for row in found], state=state
    )


def apply(
    *,
    rows: models.QuerySet[Any],
    values: dict[str, Any],
    faults: Faults,
    state: str | None = None,
) -> int:
    """Change all of the rows or none; return how many were changed.

    `state`: of the preview that was agreed to. Raises UnableToApply when rows are not
    as they were then, or one of them is refused. The history gets an entry a row.
    """
    try:
        with transaction.atomic():
            return _apply(rows, values, faults, state)
    except (IntegrityError, DataError) as error:
        raise UnableToApply(
            _("The database refuses it, so nothing was changed: %(why)s")
            % {"why": str(error.__cause__ or error).splitlines()[0]}
        ) from error


def _apply(
    rows: models.QuerySet[Any],
    values: dict[str, Any],
    faults: Faults,
    state: str | None,
) -> int:
    model = rows.model
    keys = sorted(rows.values_list("pk", flat=True))
    locked = model._base_manager.select_for_update(no_key=True)
    list(locked.filter(pk__in=keys).order_by("pk").values_list("pk"))
    found = preview(rows=rows.order_by("pk"), values=values, faults=faults)
    if state is not None and found.state != state:
        raise UnableToApply(
            _("Some of these were changed meanwhile. Look at the preview once more.")
        )
    if found.refused:
        first = found.refused[0]
        raise UnableToApply(
            _("Nothing was changed, because of %(row)s: %(why)s")
            % {"row": first.row, "why": " ".join(first.faults)}
        )
    for one in found.changed:
        one.row.save(update_fields=_names(values))
    return len(found.changed)


def _outcome(row: Any, values: dict[str, Any], faults: Faults) -> Outcome:
    outcome = Outcome(row=row)
    names = _names(values)
    for name in names:
        column = row._meta.get_field(name)
        old = getattr(row, name)
        new = _new(name, old, values)
        if old != new:
            setattr(row, name, new)
            outcome.lines.append(
                Line(
                    capfirst(column.verbose_name), said(column, old), said(column, new)
                )
            )
    if outcome.lines:
        others = {one.name for one in row._meta.concrete_fields} - set(names)
        try:
            row.clean_fields(exclude=others)
        except ValidationError as error:
            outcome.faults += error.messages
        if not outcome.faults:
            outcome.faults += faults(row, names)
    return outcome


def _names(values: dict[str, Any]) -> list[str]:
    return list(
        dict.fromkeys(
            name.removeprefix(ADD).removeprefix(REMOVE)
            if name.startswith((ADD, REMOVE))
            else name
            for name in values
        )
    )


def _new(name: str, old: Any, values: dict[str, Any]) -> Any:
    if name in values:
        return values[name]
    removed = set(values.get(REMOVE + name, ()))
    kept = [word for word in old if word not in removed]
    return list(dict.fromkeys([*kept, *values.get(ADD + name, ())]))


def _state(
    model: type[models.Model], keys: Sequence[Any], values: dict[str, Any]
) -> str:
    plain = {
        name: value.pk if isinstance(value, models.Model) else value
        for name, value in values.items()
    }
    text = json.dumps(
        [fingerprint_of_many(model, keys), plain], cls=DjangoJSONEncoder, sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]
