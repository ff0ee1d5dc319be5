"""Which version of a row somebody has read, so that nobody overwrites what they did
not see."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.db.models import QuerySet

from t4g_portal.lib.faults import ChangedMeanwhile
from t4g_portal.lib.secrets import EncryptedTextField

Row = TypeVar("Row", bound=models.Model)


def version_of(row: models.Model) -> str:
    """Return a short text that changes with what people may change of a row.

    A row with a `revision` has it from the database; of others the columns are hashed,
    secrets apart, with the numbers of the rows that they name. It asks the database
    nothing of a row that is loaded: `fingerprints.fingerprint`, which forms use, asks
    it several times, and a GET of the API would take twice as long.
    """
    revision = getattr(row, "revision", None)
    if revision is not None:
        return f"r{revision}"
    values = {
        field.attname: field.value_from_object(row)
        for field in row._meta.concrete_fields
        if not isinstance(field, EncryptedTextField)
    }
    for many in row._meta.many_to_many:
        named = getattr(row, many.name).all()
        values[many.name] = sorted(other.pk for other in named)
    text = json.dumps(values, cls=DjangoJSONEncoder, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def locked(
    rows: QuerySet[Row], *, pk: int, expected: str | None = None
) -> Iterator[Row]:
    """Hold a row until what was changed is committed.

    `expected`: the version that the caller has read; None takes any. Raises
    ChangedMeanwhile, and DoesNotExist.
    """
    with transaction.atomic():
        row = rows.select_for_update(of=("self",)).get(pk=pk)
        if expected is not None and version_of(row) != expected:
            raise ChangedMeanwhile
        yield row
