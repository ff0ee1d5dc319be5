"""Many rows of one model in one statement, handed over as one JSON document.

Django's own ways quote each value in Python, or write a statement a row: when a hundred
incidents were paged, that was two thirds of the time.

Nothing of what Django does around a value happens: no signal, no `auto_now`, no field of
our own that writes something else than it shows, such as a secret. A model that relies on
one of these is refused with a TypeError.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, models
from django.db.models import signals
from django.utils import timezone

_INSERT = """
INSERT INTO {table} ({columns})
SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, %s::jsonb)
ON CONFLICT DO NOTHING
"""
_UPDATE = """
UPDATE {table} SET {values}
FROM jsonb_populate_recordset(NULL::{table}, %s::jsonb) AS fresh
WHERE {table}.{key} = fresh.{key}
"""


def insert_all(*, rows: Sequence[models.Model]) -> None:
    """Insert rows of one model in their order; what collides with a row is left out.

    The objects don't learn their keys. Raises TypeError for a value that is no JSON, no
    moment and no UUID; None is NULL, in a JSON column too.
    """
    if rows:
        _refuse_misfits(rows)
        if not isinstance(_key(rows[0]), models.AutoField):
            raise TypeError(f"{rows[0]._meta.label}: the database gives it no key")
        columns = ", ".join(_quoted(field) for field in _fields(rows[0]))
        _execute(_INSERT.format(table=_table(rows[0]), columns=columns), rows)


def update_all(*, rows: Sequence[models.Model]) -> None:
    """Write every column of stored rows of one model, as `save` does for each.

    The caller has locked them. Raises TypeError as `insert_all` does, and DatabaseError
    when one of them is gone.
    """
    if rows:
        _refuse_misfits(rows)
        columns = [_quoted(field) for field in _fields(rows[0])]
        values = ", ".join(f"{column} = fresh.{column}" for column in columns)
        key = _quoted(_key(rows[0]))
        statement = _UPDATE.format(table=_table(rows[0]), values=values, key=key)
        count = _execute(statement, rows)
        if count != len(rows):
            raise DatabaseError(f"{count} of {len(rows)} rows were there to be written")


def _execute(statement: str, rows: Sequence[models.Model]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, [_document(rows)])
        return int(cursor.rowcount)


def _refuse_misfits(rows: Sequence[models.Model]) -> None:
    """Raise TypeError for rows that only `save` can write as they are meant."""
    model = type(rows[0])
    if any(type(row) is not model for row in rows):
        raise TypeError("rows of several models can't be written in one statement")
    for signal in (signals.pre_save, signals.post_save):
        if signal.has_listeners(model):
            raise TypeError(f"{model._meta.label}: something waits for each `save`")
    for field in model._meta.concrete_fields:
        is_own = not type(field).__module__.startswith("django.")
        has_moment = getattr(field, "auto_now", False)
        if is_own or has_moment or field.generated or field.model is not model:
            raise TypeError(f"{field}: only `save` writes it as it is meant")


def _document(rows: Sequence[models.Model]) -> str:
    fields = [_key(rows[0]), *_fields(rows[0])]
    names = [(field.column, field.attname) for field in fields]
    return json.dumps(
        [{column: getattr(row, name) for column, name in names} for row in rows],
        default=_plain,
    )


def _plain(value: object) -> str:
    if isinstance(value, datetime) and timezone.is_aware(value):
        # All of it: JSON encoders like to cut it to milliseconds.
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} can't be written so")


def _table(row: models.Model) -> str:
    return connection.ops.quote_name(row._meta.db_table)


def _key(row: models.Model) -> models.Field[Any, Any]:
    assert row._meta.pk is not None  # noqa: S101 every model has one
    return row._meta.pk


def _fields(row: models.Model) -> list[models.Field[Any, Any]]:
    return [field for field in row._meta.concrete_fields if not field.primary_key]


def _quoted(field: models.Field[Any, Any]) -> str:
    return connection.ops.quote_name(field.column)
