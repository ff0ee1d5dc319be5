"""Two people edit one row: the second is told, not overwritten.

A form carries the fingerprint of what it showed. When it comes back, the row is locked
and compared; a form of another state keeps what was typed, says who changed what, and
carries the new state: whoever then saves has seen it.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django import forms
from django.db import connection, models
from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.timezone import now
from django.utils.translation import gettext as _

from t4g_portal.lib import wording
from t4g_portal.lib.fingerprints import fingerprint
from t4g_portal.lib.history.reading import Entry, entries_of, last_entry_id, read

FIELD = "_seen"
_SHOWN = 20
_MOST_LINES = 2000

Form = TypeVar("Form", bound="type[forms.ModelForm[Any]]")


def guarded(form: Form) -> Form:
    """Return the form's class with the guard; for rows whose table has a history."""
    # The metaclass is the form's.
    made: Form = type(form.__name__, (_Guarded, form), {})  # type: ignore[assignment]
    return made


class _Guarded:
    """In front of a model form: compares what was seen with what is there."""

    instance: models.Model
    data: Any
    is_bound: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What changed since the form was shown, for the template.
        self.meanwhile: list[Entry] = []

    def seen(self) -> str:
        """Return what the form's hidden field holds: the state that it shows."""
        if self.instance.pk is None:
            return ""
        return f"{fingerprint(self.instance)}.{last_entry_id(self.instance)}"

    def clean(self) -> dict[str, Any]:
        """Compare, with the row locked until the transaction ends."""
        cleaned: dict[str, Any] = super().clean()  # type: ignore[misc]
        shown, _dot, last_id = str(self.data.get(FIELD, "")).partition(".")
        if shown and self.instance.pk is not None:
            _lock(self.instance)
            if fingerprint(self.instance) != shown:
                self.meanwhile = _since(self.instance, last_id)
                self.add_error(None, _sentence(self.meanwhile))  # type: ignore[attr-defined]
        return cleaned


def with_lost_lines_as_new(data: QueryDict, *, prefix: str, model: Any) -> QueryDict:
    """Return an inline's data in which a line that somebody deleted is a new one.

    Django would show nothing of it, and refuse the form for good. A line that was to be
    deleted anyway is left out.
    """
    total, first = (
        _count(data, f"{prefix}-{name}_FORMS") for name in ("TOTAL", "INITIAL")
    )
    key = f"{model._meta.pk.name}"
    ids = {number: data.get(f"{prefix}-{number}-{key}", "") for number in range(first)}
    asked = [int(one) for one in ids.values() if one.isdecimal() and len(one) < 19]
    there = set(model._base_manager.filter(pk__in=asked).values_list("pk", flat=True))
    lost = {
        number
        for number, one in ids.items()
        if not one.isdecimal() or int(one) not in there
    }
    if not lost:
        return data
    kept = [number for number in range(first) if number not in lost]
    new = [
        number
        for number in [*sorted(lost), *range(first, total)]
        if not data.get(f"{prefix}-{number}-DELETE")
    ]
    made = QueryDict(mutable=True)
    for name in data:
        if not name.startswith(f"{prefix}-") or name.endswith("_FORMS"):
            made.setlist(name, data.getlist(name))
    for place, number in enumerate([*kept, *new]):
        start = f"{prefix}-{number}-"
        for name in data:
            if name.startswith(start) and (number in kept or name != start + key):
                made.setlist(
                    f"{prefix}-{place}-{name[len(start) :]}", data.getlist(name)
                )
    made[f"{prefix}-INITIAL_FORMS"] = str(len(kept))
    made[f"{prefix}-TOTAL_FORMS"] = str(len(kept) + len(new))
    return made


def _count(data: QueryDict, name: str) -> int:
    """Return a count of the management form; Django says what is wrong with another."""
    said = data.get(name, "")
    return min(int(said), _MOST_LINES) if said.isdecimal() and len(said) < 9 else 0


def _lock(row: models.Model) -> None:
    if connection.in_atomic_block:
        rows = type(row)._base_manager.select_for_update(no_key=True)
        rows.filter(pk=row.pk).values_list("pk").first()


def _since(row: models.Model, last_id: str) -> list[Entry]:
    # Digits of the form's own; anything else is nobody's honest field.
    after = int(last_id) if last_id.isdecimal() and len(last_id) < 18 else 0
    return read(entries_of(row).filter(pk__gt=after)[:_SHOWN])


def _sentence(meanwhile: list[Entry]) -> str:
    do = _(
        "What you typed is still below. Compare it, then save again to put it in place"
        " of theirs."
    )
    if not meanwhile:
        return f"{_('Somebody changed this after you opened it.')} {do}"
    people = ", ".join(dict.fromkeys(entry.who for entry in meanwhile))
    said = _("%(who)s changed this %(ago)s, after you opened it.") % {
        "who": capfirst(people),
        "ago": wording.ago(meanwhile[0].at, now=now()),
    }
    return f"{said} {do}"
