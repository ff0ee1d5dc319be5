"""The configuration as a file: same rows, same text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from t4g_portal.configuration import document
from t4g_portal.configuration.columns import SecretColumn
from t4g_portal.configuration.sections import SECTIONS
from t4g_portal.configuration.stock import Stock
from t4g_portal.configuration.tables import Section, Table

_HEADER = (
    "# The configuration of a T4G portal. Secrets and heartbeat addresses are not in it.\n"
    "# Read it back with: manage.py config import FILE --dry-run\n"
)


def export() -> str:
    """Return all sections as YAML, without any secret.

    What has its default value is left out; importing the text again changes nothing.
    """
    stock = Stock.load(SECTIONS)
    texts = [_HEADER]
    for section in SECTIONS:
        rows = [row for _key, row in sorted(stock.rows[section.name].items())]
        if rows:
            texts.append(
                document.write({section.name: [_row(section, row) for row in rows]})
            )
    return "\n".join(texts)


def _row(section: Section, row: Any) -> dict[str, Any]:
    shown = _columns(section, row)
    for part in section.parts:
        children: Iterable[Any] = getattr(row, part.name).all()
        if part.key:
            children = sorted(children, key=part.key_of)
        listed = [_columns(part, child) for child in children]
        if listed:
            shown[part.name] = listed
    return shown


def _columns(table: Table, row: Any) -> dict[str, Any]:
    return {
        column.key: column.dump(row)
        for column in table.columns
        if not isinstance(column, SecretColumn)
        and (
            column.name in table.key
            or column.is_required
            or not column.is_same(row, column.default)
        )
    }
