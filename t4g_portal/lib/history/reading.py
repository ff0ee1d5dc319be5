"""The history as people read it: who, when, how, and what became what."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from auditlog.models import LogEntry
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime
from django.utils.formats import localize
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from t4g_portal.lib import wording
from t4g_portal.lib.history.acts import Via
from t4g_portal.lib.wording import NOTHING

_LONG = 300


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that changed. An empty `old` or `new` is said as a dash."""

    label: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.label}: {self.old} → {self.new}"


@dataclass(slots=True)
class Entry:
    """What one act did to one row."""

    at: datetime
    who: str
    via: str
    # "created", "changed" or "deleted".
    did: str
    row: str
    lines: list[Line] = field(default_factory=list)


def entries_of(row: models.Model) -> QuerySet[LogEntry]:
    """Return the entries of a row, newest first."""
    kind = ContentType.objects.get_for_model(type(row))
    rows: QuerySet[LogEntry] = LogEntry.objects.filter(
        content_type=kind, object_pk=str(row.pk)
    )
    return rows.select_related("actor", "content_type").order_by("-timestamp", "-pk")


def last_changed_at(row: models.Model, names: Iterable[str]) -> datetime | None:
    """Return when somebody last changed one of these columns; None: not since it is."""
    touched = models.Q()
    for name in names:
        touched |= models.Q(changes__has_key=name)
    edits = entries_of(row).filter(touched, action=LogEntry.Action.UPDATE)
    found: datetime | None = edits.values_list("timestamp", flat=True).first()
    return found


def last_entry_id(row: models.Model) -> int:
    """Return the number of a row's newest entry; 0 without any."""
    found = entries_of(row).values_list("pk", flat=True).first()
    return found or 0


def read(entries: Iterable[LogEntry]) -> list[Entry]:
    """Turn entries, newest first, into what is shown: one for each act on a row."""
    shown: list[Entry] = []
    before: LogEntry | None = None
    for one in entries:
        if before is None or not _is_one_act(before, one):
            shown.append(
                Entry(
                    at=one.timestamp,
                    who=who(one),
                    via=via(one),
                    did=did(one),
                    row=one.object_repr,
                )
            )
        elif one.action != LogEntry.Action.UPDATE:
            # Made or deleted, and changed on the way: the former says more.
            shown[-1].did = did(one)
        # Oldest first within an act, as it was done.
        shown[-1].lines[:0] = lines(one)
        before = one
    return shown


def lines(entry: LogEntry) -> list[Line]:
    """Return what an entry says changed."""
    model = entry.content_type.model_class() if entry.content_type else None
    return _lines(model, entry.changes or {})


def who(entry: LogEntry) -> str:
    """Return who did it: a person, a key, a file; never nobody."""
    if entry.actor is not None:
        return str(entry.actor.get_full_name() or entry.actor.get_username())
    said = entry.additional_data or {}
    return str(said.get("name") or said.get("by") or via(entry))


def via(entry: LogEntry) -> str:
    """Return how the change came in: "the admin", "the API: deploy key"."""
    said = entry.additional_data or {}
    door = said.get("via", "")
    label = str(Via(door).label) if door in Via.values else door or NOTHING
    return f"{label}: {said['by']}" if said.get("by") else label


def did(entry: LogEntry) -> str:
    """Return "created", "changed" or "deleted"."""
    return {
        LogEntry.Action.CREATE: pgettext("act", "created"),
        LogEntry.Action.DELETE: pgettext("act", "deleted"),
    }.get(entry.action, pgettext("act", "changed"))


def label_of(model: type[models.Model], name: str) -> str:
    """Return what people call a column, with a capital; the name where none is known."""
    words = getattr(_column(model, name), "verbose_name", "") or name.replace("_", " ")
    return str(capfirst(words))


def _is_one_act(one: LogEntry, other: LogEntry) -> bool:
    return bool(one.cid) and (one.cid, one.content_type_id, one.object_pk) == (
        other.cid,
        other.content_type_id,
        other.object_pk,
    )


def _lines(model: Any, changes: dict[str, Any]) -> list[Line]:
    found: list[Line] = []
    for name, change in changes.items():
        column = _column(model, name)
        label = label_of(model, name)
        if isinstance(change, dict):
            found += _special(label, change)
        else:
            old, new = change
            found.append(Line(label, said(column, old), said(column, new)))
    return found


def _special(label: str, change: dict[str, Any]) -> list[Line]:
    match change.get("type"):
        case "secret":
            was, now = (
                _("set") if change[name] else _("not set")
                for name in ("was_set", "is_set")
            )
            return [Line(label, was, now if was != now else _("set anew"))]
        case "m2m":
            names = ", ".join(change["objects"])
            if change["operation"] == "add":
                return [Line(label, NOTHING, _("added: %(names)s") % {"names": names})]
            return [Line(label, _("removed: %(names)s") % {"names": names}, NOTHING)]
        case "part":
            return _part(change)
        case _:
            return []


def _part(change: dict[str, Any]) -> list[Line]:
    model = apps.get_model(change["model"])
    name = _("%(kind)s “%(name)s”") % {
        "kind": capfirst(model._meta.verbose_name),
        "name": change["label"],
    }
    if change["operation"] == "add":
        return [Line(name, NOTHING, _("added"))]
    if change["operation"] == "delete":
        return [Line(name, _("removed"), NOTHING)]
    return [
        Line(f"{name}, {line.label.lower()}", line.old, line.new)
        for line in _lines(model, change["fields"] or {})
    ]


def _column(model: Any, name: str) -> Any:
    try:
        return model._meta.get_field(name)
    except (AttributeError, FieldDoesNotExist):
        # Of a model or a column that is gone since.
        return None


def said(column: Any, value: Any) -> str:
    """Return a value of a column as people read it; a dash for nothing."""
    if value in (None, "", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    choices: Sequence[tuple[Any, Any]] = getattr(column, "flatchoices", None) or ()
    words = dict(choices).get(value) if isinstance(value, str | int) else None
    if words is not None:
        return str(words)
    if isinstance(column, models.DateTimeField) and isinstance(value, str):
        moment = parse_datetime(value)
        return wording.absolute(moment) if moment else value
    if isinstance(value, list):
        text = ", ".join(str(one) for one in value)
    elif isinstance(value, dict):
        text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    elif isinstance(value, float):
        text = localize(int(value) if value.is_integer() else value)
    else:
        text = str(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"
