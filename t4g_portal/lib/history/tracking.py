"""Which tables have a history, and the receivers that write it.

Entries are django-auditlog's rows. Its own receivers load whole rows, secrets included,
and name a related row by its number, so these are ours: they read only the columns that
are compared, say of a secret no more than whether there is one, and put a row that is
part of another (a monitor's assertion) into the history of that other.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from auditlog.models import LogEntry
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.db.models.signals import m2m_changed, post_save, pre_delete, pre_save

from t4g_portal.lib.history import acts
from t4g_portal.lib.secrets import EncryptedTextField

Model = type[models.Model]
_STASH = "_history_changes"


@dataclass(frozen=True, slots=True)
class Tracked:
    """What is kept of a table. `part_of`: the foreign key to what a row is part of."""

    model: Model
    fields: tuple[models.Field[Any, Any], ...]
    secrets: tuple[models.Field[Any, Any], ...]
    many: tuple[models.ManyToManyField[Any, Any], ...]
    part_of: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read and compared."""
        return tuple(field.attname for field in self.fields)


_registry: dict[Model, Tracked] = {}


def track(
    model: Model,
    *,
    secrets: Collection[str] = (),
    left_out: Collection[str] = (),
    part_of: str = "",
) -> None:
    """Keep the history of a table from now on.

    Encrypted fields are secrets without being named; of a secret, only its being set,
    changed or cleared is kept. `left_out` is nobody's edit, such as the last login.
    """
    hidden = {
        field.name
        for field in model._meta.concrete_fields
        if isinstance(field, EncryptedTextField) or field.name in secrets
    }
    _registry[model] = Tracked(
        model=model,
        fields=tuple(
            field
            for field in model._meta.concrete_fields
            if field.name not in {*hidden, *left_out, part_of} and not field.primary_key
        ),
        secrets=tuple(
            field for field in model._meta.concrete_fields if field.name in hidden
        ),
        many=tuple(
            field for field in model._meta.many_to_many if field.name not in left_out
        ),
        part_of=part_of,
    )
    name = f"history of {model._meta.label}"
    pre_save.connect(_before_save, sender=model, dispatch_uid=name)
    post_save.connect(_after_save, sender=model, dispatch_uid=name)
    pre_delete.connect(_before_delete, sender=model, dispatch_uid=name)
    for field in _registry[model].many:
        m2m_changed.connect(
            _many_changed, sender=getattr(model, field.name).through, dispatch_uid=name
        )


def is_tracked(model: Model) -> bool:
    """Whether a table has a history."""
    return model in _registry


def tracked_models() -> list[Model]:
    """Return the tables that have a history."""
    return list(_registry)


def tracked(model: Model) -> Tracked:
    """Return what is kept of a table; raises KeyError when nothing is."""
    return _registry[model]


def parts_of(model: Model) -> list[Tracked]:
    """Return the tables whose rows are part of rows of `model`."""
    return [
        part
        for part in _registry.values()
        if part.part_of
        and part.model._meta.get_field(part.part_of).related_model is model
    ]


def without_secrets(model: Model) -> models.QuerySet[Any]:
    """Return the rows of a table, to be named: no secret is read with them."""
    hidden = [
        field.attname
        for field in model._meta.concrete_fields
        if isinstance(field, EncryptedTextField)
    ]
    return model._base_manager.defer(*hidden)


def note(*, row: models.Model, fields: dict[str, Any]) -> None:
    """Write into a tracked row's history what is stored elsewhere: name → [old, new]."""
    _write(_registry[type(row)], row, LogEntry.Action.UPDATE, fields)


# --- Receivers ------------------------------------------------------------------------


def _before_save(
    sender: Model,
    instance: models.Model,
    raw: bool = False,
    update_fields: Collection[str] | None = None,
    **kwargs: Any,
) -> None:
    instance.__dict__.pop(_STASH, None)
    if raw or instance._state.adding or instance.pk is None:
        return
    of = _registry[sender]
    before = _stored(of, instance.pk)
    if before is None:
        return
    written = _written(of, instance, update_fields)
    changes: dict[str, Any] = {}
    for field in of.fields:
        if field in written:
            old, new = before[field.attname], _plain(field, instance)
            if old != new:
                changes[field.name] = [_told(field, old), _told(field, new)]
    for field in of.secrets:
        typed = instance.__dict__.get(field.attname)
        # What is sealed was not touched.
        if field in written and isinstance(typed, str):
            was_set, is_set = before[_has(field)], bool(typed)
            is_same = typed == before.get(field.attname)
            if (was_set or is_set) and not is_same:
                changes[field.name] = _secret(was_set, is_set)
    instance.__dict__[_STASH] = changes


def _after_save(
    sender: Model,
    instance: models.Model,
    created: bool,
    raw: bool = False,
    **kwargs: Any,
) -> None:
    changes = instance.__dict__.pop(_STASH, None)
    if raw:
        return
    of = _registry[sender]
    if created:
        changes = {
            field.name: [None, _told(field, value)]
            for field in of.fields
            if (value := _plain(field, instance)) not in (None, "", [], {})
        }
        for field in of.secrets:
            if instance.__dict__.get(field.attname):
                changes[field.name] = _secret(False, True)
        _write(of, instance, LogEntry.Action.CREATE, changes)
    elif changes:
        _write(of, instance, LogEntry.Action.UPDATE, changes)


def _before_delete(
    sender: Model, instance: models.Model, origin: Any = None, **kwargs: Any
) -> None:
    of = _registry[sender]
    if of.part_of and getattr(origin, "model", type(origin)) is not sender:
        # It goes with what it is part of, whose own entry says so.
        return
    before = _stored(of, instance.pk)
    if before is not None:
        changes = {
            field.name: [_told(field, value), None]
            for field in of.fields
            if (value := before[field.attname]) not in (None, "", [], {})
        }
        _write(of, instance, LogEntry.Action.DELETE, changes)


def _many_changed(
    sender: Model,
    instance: models.Model,
    action: str,
    reverse: bool,
    model: Model,
    pk_set: set[Any] | None,
    **kwargs: Any,
) -> None:
    operation = {
        "post_add": "add",
        "post_remove": "delete",
        # Afterwards nobody knows what there was.
        "pre_clear": "delete",
    }.get(action)
    if operation is None or pk_set == set():
        return
    owner = model if reverse else type(instance)
    for of in _registry.values():
        if not issubclass(owner, of.model):
            continue
        for field in of.many:
            if getattr(of.model, field.name).through is sender:
                _write_many(of, field, instance, operation, reverse, model, pk_set)


def _write_many(
    of: Tracked,
    field: models.ManyToManyField[Any, Any],
    instance: models.Model,
    operation: str,
    reverse: bool,
    model: Model,
    pk_set: set[Any] | None,
) -> None:
    if pk_set is None:
        name = field.name if not reverse else field.related_query_name()
        others = without_secrets(model).filter(
            pk__in=type(instance)
            ._base_manager.filter(pk=instance.pk, **{f"{name}__isnull": False})
            .values(name)
        )
    else:
        others = without_secrets(model).filter(pk__in=pk_set)
    pairs: list[tuple[models.Model, Iterable[models.Model]]] = (
        [(row, [instance]) for row in others] if reverse else [(instance, others)]
    )
    for row, named in pairs:
        names = sorted(str(one) for one in named)
        if names:
            change = {"type": "m2m", "operation": operation, "objects": names}
            _write(of, row, LogEntry.Action.UPDATE, {field.name: change})


# --- Values ---------------------------------------------------------------------------


def _stored(of: Tracked, pk: Any) -> dict[str, Any] | None:
    rows = of.model._base_manager.filter(pk=pk)
    plain = [
        field.attname
        for field in of.secrets
        if not isinstance(field, EncryptedTextField)
    ]
    has = {_has(field): ~Q(**{field.attname: ""}) for field in of.secrets}
    return rows.values(*of.columns, *plain, **has).first()


def _has(field: models.Field[Any, Any]) -> str:
    return f"has_{field.attname}"


def _secret(was_set: bool, is_set: bool) -> dict[str, Any]:
    return {"type": "secret", "was_set": was_set, "is_set": is_set}


def _written(
    of: Tracked, instance: models.Model, update_fields: Collection[str] | None
) -> set[models.Field[Any, Any]]:
    deferred = instance.get_deferred_fields()
    return {
        field
        for field in (*of.fields, *of.secrets)
        if field.attname not in deferred
        and (
            update_fields is None
            or field.name in update_fields
            or field.attname in update_fields
        )
    }


def _plain(field: models.Field[Any, Any], instance: models.Model) -> Any:
    """Return a value as the database will give it back, "60" as 60."""
    value = getattr(instance, field.attname)
    try:
        return field.to_python(value)
    except ValidationError:
        return value


def _told(field: models.Field[Any, Any], value: Any) -> Any:
    """Return a value as it is kept: JSON, and a related row by its name."""
    if value is not None and isinstance(field, models.ForeignKey):
        model: Any = field.related_model
        row = without_secrets(model).filter(**{field.target_field.attname: value})
        return str(row.first() or f"#{value}")
    # JSON knows no infinity: the database would refuse the line and with it the change.
    return json.loads(
        json.dumps(value, cls=DjangoJSONEncoder, default=str), parse_constant=str
    )


# --- Writing --------------------------------------------------------------------------


def _write(of: Tracked, row: models.Model, action: int, changes: Any) -> None:
    if of.part_of:
        field: Any = of.model._meta.get_field(of.part_of)
        whole = _whole(field, row)
        if whole is None:
            return
        operation = {
            LogEntry.Action.CREATE: "add",
            LogEntry.Action.UPDATE: "change",
            LogEntry.Action.DELETE: "delete",
        }[action]
        part = {
            "type": "part",
            "operation": operation,
            "model": of.model._meta.label_lower,
            "label": _label(of, row),
            "fields": changes,
        }
        changes = {field.remote_field.get_accessor_name(): part}
        row, action = whole, LogEntry.Action.UPDATE
    act = acts.current()
    LogEntry.objects.log_create(
        row,
        force_log=True,
        action=action,
        changes=changes,
        actor=act.person(),
        cid=act.key,
        additional_data=acts.described(act),
    )


def _whole(field: Any, part: models.Model) -> models.Model | None:
    if field.is_cached(part):
        cached: models.Model | None = getattr(part, field.name)
        return cached
    key = getattr(part, field.attname)
    found: models.Model | None = (
        without_secrets(field.related_model).filter(pk=key).first()
    )
    return found


def _label(of: Tracked, part: models.Model) -> str:
    """Name a part by its words: "status equals 200", "email a@example.org".

    One that has a `part_label` of its own is named so.
    """
    if own := getattr(part, "part_label", ""):
        return str(own)
    words: Iterable[Any] = (
        getattr(part, field.attname)
        for field in of.fields
        if isinstance(field, models.CharField) and field.attname in part.__dict__
    )
    return " ".join(str(word) for word in words if word) or str(part)
