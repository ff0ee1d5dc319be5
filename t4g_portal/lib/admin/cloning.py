"""A copy of a row with what is part of it, switched off and without its secrets."""

from __future__ import annotations

from typing import Any

from django.db import models, transaction
from django.utils.translation import gettext as _

from t4g_portal.lib.history.tracking import parts_of, tracked


def clone(row: Any, **changes: Any) -> Any:
    """Store a copy of a row and return it.

    Its name says that it is one; it is disabled, so that nothing is probed, told or
    kept quiet twice before somebody has looked. A secret belongs to its row and stays.
    `changes`: columns in which the copy differs, such as a right its maker lacks.
    """
    of = tracked(type(row))
    with transaction.atomic():
        copy = _copy(row, of.fields)
        copy.name = _free_name(row)
        if hasattr(copy, "is_enabled"):
            copy.is_enabled = False
        for name, value in changes.items():
            setattr(copy, name, value)
        copy.save()
        for many in of.many:
            linked = getattr(row, many.name).values_list("pk", flat=True)
            getattr(copy, many.name).set(linked)
        for part in parts_of(type(row)):
            for child in part.model._base_manager.filter(**{part.part_of: row.pk}):
                twin = _copy(child, part.fields)
                setattr(twin, part.part_of, copy)
                twin.save()
    return copy


def has_secrets(model: type[models.Model]) -> bool:
    """Whether rows of a table have a secret that a copy would lack."""
    return any(field.blank for field in tracked(model).secrets)


def _copy(row: Any, fields: Any) -> Any:
    return type(row)(
        **{
            field.attname: getattr(row, field.attname)
            for field in fields
            if not field.unique
        }
    )


def _free_name(row: Any) -> str:
    room = row._meta.get_field("name").max_length
    rows = type(row)._base_manager
    number = 1
    while True:
        ending = (
            _(" (copy)")
            if number == 1
            else _(" (copy %(number)d)") % {"number": number}
        )
        name = f"{row.name[: room - len(ending)]}{ending}"
        if not rows.filter(name=name).exists():
            return name
        number += 1
