"""Whether a row is still as somebody saw it, with what is part of it.

Taken from the database, not from the object at hand, so a form that was already bound
to it and a change that is not saved yet don't matter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Cast

from t4g_portal.lib.history.tracking import Tracked, parts_of, tracked


def fingerprint(row: models.Model) -> str:
    """Return 32 characters that change with what people edit of a saved row.

    Its columns, the rows it is linked to, and the rows that are part of it (a
    monitor's assertions, a contact's addresses); nothing that the engine writes. Lock
    the row first where it decides on a write. Raises KeyError for a table without a
    history, see `t4g_portal.lib.history.track`.
    """
    of = tracked(type(row))
    seen = [
        _rows(of, pk=row.pk),
        *(_links(field, row) for field in of.many),
        *(_rows(part, **{part.part_of: row.pk}) for part in parts_of(type(row))),
    ]
    text = json.dumps(seen, cls=DjangoJSONEncoder, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def fingerprint_of_many(model: type[models.Model], keys: Collection[Any]) -> str:
    """Return one for the columns of many rows of a table, without their parts."""
    text = json.dumps(
        _rows(tracked(model), pk__in=keys), cls=DjangoJSONEncoder, default=str
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _rows(of: Tracked, **which: Any) -> list[Any]:
    # The ciphertext as it is: a secret set anew counts, and nothing is decrypted.
    sealed = {
        f"raw_{field.attname}": Cast(field.attname, models.TextField())
        for field in of.secrets
    }
    rows = of.model._base_manager.filter(**which).order_by("pk")
    return list(rows.annotate(**sealed).values_list("pk", *of.columns, *sealed))


def _links(field: models.ManyToManyField[Any, Any], row: models.Model) -> list[Any]:
    through = getattr(type(row), field.name).through
    own, other = field.m2m_column_name(), field.m2m_reverse_name()
    links = through._base_manager.filter(**{own: row.pk}).order_by(other)
    return list(links.values_list(other, flat=True))
