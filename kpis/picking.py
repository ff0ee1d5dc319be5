"""The numbers of a JSON document with the paths that lead to them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

MAX_PATHS = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def numbers_in(document: Any) -> list[tuple[str, Any]]:
    """Return (JMESPath, number) in the document's order, at most `MAX_PATHS`."""
    return list(islice(_walk(document, ""), MAX_PATHS))


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield path or "@", value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            name = key if _NAME.fullmatch(key) else json.dumps(key)
            yield from _walk(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{path}[{index}]")
