"""Plain values: how they are compared, and how a diff or a message shows them."""

from __future__ import annotations

import json
from datetime import date, time
from typing import Any

from t4g_portal.configuration.document import Node, Scalar, plain

_MAX_SHOWN = 120


def one_line(value: Any) -> str:
    """Return a value as JSON, names sorted, control characters escaped."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def shown(value: Any) -> str:
    """Return a value in one line of bounded length."""
    if isinstance(value, date | time):
        return value.isoformat()
    text = one_line(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def shown_node(node: Node) -> str:
    """Return a node as written, in one line of bounded length."""
    return shown(node.text if isinstance(node, Scalar) else plain(node))


def canonical(value: Any) -> Any:
    """Return JSON as PostgreSQL gives it back, where 1.0 and 1e2 are whole numbers."""
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
