"""Writing what people configure, for interfaces without a form: checked, then stored.

The rules are the apps'; they are the same that the admin's forms and the import obey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from django.db import models, transaction
from django.db.models import NOT_PROVIDED, QuerySet

from t4g_portal.lib.faults import Fault, UnableToSave
from t4g_portal.lib.secrets import EncryptedTextField
from t4g_portal.lib.versions import locked

Row = TypeVar("Row", bound=models.Model)
Values = Mapping[str, Any]
Check = Callable[[Values], Iterable[Fault]]


def create(*, model: type[Row], values: Values, check: Check) -> Row:
    """Store a new row; `check` sees its values with the defaults of those left out.

    Raises UnableToSave.
    """
    refuse(check({**defaults(model), **values}))
    with transaction.atomic():
        row = model()
        assign(row, values)
    return row


def change(
    *,
    rows: QuerySet[Row],
    pk: int,
    values: Values,
    check: Check,
    expected: str | None = None,
) -> Row:
    """Change what `values` name; `check` sees the row as it would become.

    Raises UnableToSave, ChangedMeanwhile and DoesNotExist.
    """
    with locked(rows, pk=pk, expected=expected) as row:
        refuse(check({**present(row), **values}))
        assign(row, values)
    return row


def delete(*, rows: QuerySet[Any], pk: int, expected: str | None = None) -> None:
    """Delete a row. Raises ChangedMeanwhile, DoesNotExist and ProtectedError."""
    with locked(rows, pk=pk, expected=expected) as row:
        row.delete()


def refuse(faults: Iterable[Fault]) -> None:
    """Raise UnableToSave when there are any."""
    found = list(faults)
    if found:
        raise UnableToSave(found)


def assign(row: models.Model, values: Values) -> None:
    """Set columns, save the row, then set the rows that it names."""
    many = {field.name for field in row._meta.many_to_many}
    columns = [name for name in values if name not in many]
    for name in columns:
        setattr(row, name, values[name])
    if row._state.adding:
        row.save()
    elif columns:
        # Only what was named: what was deferred stays as it is.
        row.save(update_fields=columns)
    for name in many & set(values):
        getattr(row, name).set(values[name])


def present(row: models.Model) -> dict[str, Any]:
    """Return the values of a row as it is, secrets apart."""
    values = {
        field.name: getattr(row, field.name)
        for field in row._meta.concrete_fields
        if not isinstance(field, EncryptedTextField)
    }
    for many in row._meta.many_to_many:
        values[many.name] = list(getattr(row, many.name).all())
    return values


def defaults(model: type[models.Model]) -> dict[str, Any]:
    """Return what a new row has where nothing is said."""
    return {
        field.name: field.get_default()
        for field in model._meta.concrete_fields
        if field.default is not NOT_PROVIDED
    }
