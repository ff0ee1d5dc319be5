"""Finding one number in a JSON document with a JMESPath expression. Pure.

Of the language we take what can't grow: names, indexes, projections, filters and a few
functions that make a number of a list. Lists and objects that an expression builds itself
are out: `[@,@][] | [@,@][] | …` doubles with every step.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import jmespath
from django.utils.translation import pgettext
from jmespath.exceptions import JMESPathError

from kpis.reading import Reason, UnableToRead, number_of
from monitors.probes.texts import clean

MAX_PATH_LENGTH = 300
MAX_DEPTH = 32
MAX_SAMPLE_TEXT = 500
_PARTS = frozenset(
    (
        *("field", "subexpression", "index", "index_expression", "slice", "projection"),
        *("value_projection", "filter_projection", "flatten", "pipe", "current"),
        *("identity", "literal", "comparator", "and_expression", "or_expression"),
        *("not_expression", "function_expression"),
    )
)
_FUNCTIONS = frozenset(
    (
        *("length", "sum", "avg", "min", "max", "abs", "ceil", "floor", "to_number"),
        *("contains", "starts_with", "ends_with", "not_null", "values", "keys"),
    )
)
# Filters in filters cost their product.
_MAX_FILTERS = 2


def path_problem(path: str) -> str:
    """Say why a path can't be used; empty when it can."""
    if not path.strip():
        return pgettext("stored", "Say where the number is, such as data.total")
    if len(path) > MAX_PATH_LENGTH:
        return pgettext("stored", "Write at most %(count)d characters") % {
            "count": MAX_PATH_LENGTH
        }
    try:
        parsed = _compiled(path).parsed
        nodes = list(_nodes(parsed))
    except (JMESPathError, ValueError, RecursionError):
        return pgettext(
            "stored", "This is not a JMESPath, such as data.total or items[0].count"
        )
    for node in nodes:
        if node["type"] not in _PARTS:
            return pgettext(
                "stored", "A path can't build lists or objects; point at one number"
            )
        if node["type"] == "function_expression" and node["value"] not in _FUNCTIONS:
            return pgettext("stored", "The function %(name)s can't be used") % {
                "name": clean(str(node["value"]))[:60]
            }
    if sum(node["type"] == "filter_projection" for node in nodes) > _MAX_FILTERS:
        return pgettext("stored", "Use at most %(count)d filters") % {
            "count": _MAX_FILTERS
        }
    return ""


def number_at(document: Any, path: str) -> Decimal:
    """Return the number at a path. Raises UnableToRead: missing, null, no number."""
    problem = path_problem(path)
    if problem:
        raise UnableToRead(Reason.MISCONFIGURED, problem)
    try:
        found = _compiled(path).search(document)
    except (JMESPathError, ArithmeticError, ValueError, RecursionError) as exc:
        raise UnableToRead(
            Reason.BAD_ANSWER,
            pgettext("stored", "The path doesn't fit what the source answers"),
            detail=clean(str(exc))[:200],
        ) from exc
    if found is None and not _is_there(document, path):
        raise UnableToRead(
            Reason.PATH_MISSING,
            pgettext("stored", "The answer has nothing at the KPI's path"),
            detail=path,
        )
    return number_of(found)


def parsed(body: bytes) -> Any:
    """Return a JSON document. Raises UnableToRead: no JSON, too deep."""
    try:
        document = json.loads(body)
    except RecursionError as exc:
        raise _too_deep() from exc
    except ValueError as exc:
        # Also: a whole number with thousands of digits.
        raise UnableToRead(
            Reason.BAD_ANSWER, pgettext("stored", "The answer is no JSON")
        ) from exc
    if _depth(document) > MAX_DEPTH:
        raise _too_deep()
    return document


def sample_of(document: Any) -> Any:
    """Return a document as it can be stored and shown: finite, short, printable."""
    if isinstance(document, Mapping):
        return {
            clean(key)[:MAX_SAMPLE_TEXT]: sample_of(value)
            for key, value in document.items()
        }
    if isinstance(document, list):
        return [sample_of(value) for value in document]
    if isinstance(document, str):
        return clean(document)[:MAX_SAMPLE_TEXT]
    if isinstance(document, float) and not math.isfinite(document):
        return None
    return document


@lru_cache(maxsize=256)
def _compiled(path: str) -> Any:
    return jmespath.compile(path)


def _nodes(tree: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield tree
    for child in tree["children"]:
        # A slice's children are numbers or nothing.
        if isinstance(child, Mapping):
            yield from _nodes(child)


def _is_there(document: Any, path: str) -> bool:
    """Whether a plain path ends at a null, instead of nowhere.

    JMESPath makes no difference; for whoever mends it, it is all the difference.
    """
    found = document
    for step in _steps(_compiled(path).parsed):
        if isinstance(step, str):
            if not isinstance(found, Mapping) or step not in found:
                return False
        elif not isinstance(found, list) or not -len(found) <= step < len(found):
            return False
        found = found[step]
    return True


def _steps(tree: Mapping[str, Any]) -> Iterator[str | int]:
    match tree["type"]:
        case "field" | "index":
            yield tree["value"]
        case "subexpression" | "index_expression":
            for child in tree["children"]:
                yield from _steps(child)
        case "identity" | "current":
            return
        case _:
            # A function, a filter, …: null is its answer.
            return


def _depth(document: Any) -> int:
    deepest, left = 0, [(document, 1)]
    while left:
        found, depth = left.pop()
        deepest = max(deepest, depth)
        if depth > MAX_DEPTH:
            break
        if isinstance(found, Mapping):
            left.extend((value, depth + 1) for value in found.values())
        elif isinstance(found, list):
            left.extend((value, depth + 1) for value in found)
    return deepest


def _too_deep() -> UnableToRead:
    return UnableToRead(
        Reason.TOO_DEEP,
        pgettext("stored", "The answer is nested deeper than %(count)d levels")
        % {"count": MAX_DEPTH},
    )
