"""Re-encrypting what is stored, on a live portal.

Few rows a transaction, each locked only while it is rewritten; workers go on reading, since
all keys of the ring read. Done rows are recognized by their prefix: stopping in the middle
costs nothing, and a second run finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from t4g_portal.lib.secrets.field import EncryptedTextField, encrypted_fields
from t4g_portal.lib.secrets.sealing import (
    BOUND,
    UnableToDecrypt,
    decrypt,
    encrypt,
    writing_key_id,
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one field is."""

    field: str
    done_count: int
    # Primary keys with the reason why the secret doesn't open.
    unreadable: tuple[tuple[Any, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Outdated:
    """Secrets of one field under one key that isn't the first, or in an old version."""

    field: str
    version: str
    key_id: str
    count: int


def outdated(*, version: str = BOUND) -> list[Outdated]:
    """Return what `rotate` would rewrite, by field, version and key."""
    found = []
    for field in encrypted_fields():
        table, column, _key = _names(field)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT split_part({column}, ':', 1), split_part({column}, ':', 2), "  # noqa: S608 names are our own and quoted
                f"count(*) FROM {table} WHERE {_is_outdated(column)} "
                "GROUP BY 1, 2 ORDER BY 1, 2",
                [version, writing_key_id()],
            )
            found += [Outdated(_label(field), *row) for row in cursor.fetchall()]
    return found


def rotate(*, batch_size: int = 100, version: str = BOUND) -> Iterator[Progress]:
    """Rewrite what isn't under the ring's first key, or isn't bound to its row.

    Yields after each batch. A secret that no key opens stays as it is and is named once.
    """
    for field in encrypted_fields():
        after: Any = None
        while True:
            with transaction.atomic():
                rows = _claim(field, version, after, batch_size)
                unreadable = _rewrite(field, version, rows)
            if not rows:
                break
            after = rows[-1][0]
            yield Progress(_label(field), len(rows) - len(unreadable), unreadable)


def _claim(
    field: EncryptedTextField, version: str, after: Any, batch_size: int
) -> list[tuple[Any, str]]:
    table, column, key = _names(field)
    beyond = f"AND {key} > %s" if after is not None else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {key}, {column} FROM {table} WHERE {_is_outdated(column)} {beyond} "  # noqa: S608
            f"ORDER BY {key} LIMIT %s FOR UPDATE",
            [
                *(version, writing_key_id()),
                *([after] if after is not None else []),
                batch_size,
            ],
        )
        return list(cursor.fetchall())


def _rewrite(
    field: EncryptedTextField, version: str, rows: list[tuple[Any, str]]
) -> tuple[tuple[Any, str], ...]:
    table, column, key = _names(field)
    rewritten, unreadable = [], []
    for pk, stored in rows:
        place = {"context": field.context, "row": str(pk)}
        try:
            plain = decrypt(stored, **place)
        except UnableToDecrypt as error:
            unreadable.append((pk, str(error)))
            continue
        rewritten.append((encrypt(plain, **place, version=version), pk))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET {column} = %s WHERE {key} = %s",  # noqa: S608
            rewritten,
        )
    return tuple(unreadable)


def _is_outdated(column: str) -> str:
    return (
        f"{column} <> '' AND (split_part({column}, ':', 1) <> %s "
        f"OR split_part({column}, ':', 2) <> %s)"
    )


def _names(field: EncryptedTextField) -> tuple[str, str, str]:
    quote, meta = connection.ops.quote_name, field.model._meta
    return quote(meta.db_table), quote(field.column), quote(meta.pk.column)


def _label(field: EncryptedTextField) -> str:
    return f"{field.model._meta.label_lower}.{field.name}"
