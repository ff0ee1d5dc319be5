"""Pages by cursor: each row once, whatever is added or removed while one reads.

A cursor says after which row the next page begins, by value and number, so that no page
costs more than the first.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from t4g_portal.lib.api.fields import write_moment
from t4g_portal.lib.api.problems import QueryInvalid

DEFAULT_LIMIT = 25
MAX_LIMIT = 200
PARAMETERS = ("cursor", "limit", "ordering")


class CursorPager(BasePagination):
    """Reads `limit`, `ordering` and `cursor`.

    The view says how rows may be ordered: `orderings` maps a word to a column that is
    never null, the first one is taken when nobody asks; `cursor_tie` names the column
    that tells rows with one value apart, empty when none share one.
    """

    def paginate_queryset(
        self, queryset: QuerySet[Any], request: Request, view: Any = None
    ) -> list[Any]:
        """Return the rows of the page asked for; raises QueryInvalid."""
        self.request = request
        asked = request.query_params
        limit = _limit(asked.get("limit"))
        ordering = _ordering(
            asked.get("ordering") or first_ordering(view), view.orderings
        )
        column = view.orderings[ordering.removeprefix("-")]
        tie = view.cursor_tie
        sign = "-" if ordering.startswith("-") else ""
        if asked.get("cursor"):
            after = _read(asked["cursor"], ordering, queryset, column, tie)
            queryset = queryset.filter(_behind(column, tie, after, is_down=bool(sign)))
        keys = [column, tie] if tie and tie != column else [column]
        rows = list(queryset.order_by(*(sign + key for key in keys))[: limit + 1])
        self.next_cursor = None
        if len(rows) > limit:
            del rows[limit:]
            self.next_cursor = _write(ordering, [_value(rows[-1], key) for key in keys])
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        """Return the page; `Link: rel="next"` is the next page's address."""
        headers = {}
        if self.next_cursor:
            asked = {
                name: self.request.query_params.getlist(name)
                for name in self.request.query_params
            }
            query = urlencode({**asked, "cursor": self.next_cursor}, doseq=True)
            # Relative, as RFC 8288 allows: proxies can't get it wrong.
            headers["Link"] = f'<{self.request.path}?{query}>; rel="next"'
        return Response(
            {"items": data, "next_cursor": self.next_cursor}, headers=headers
        )

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Say in the schema what may be asked for."""
        words = [
            word for name in view.orderings for word in (name, f"-{name}")
        ]  # either way round
        return [
            {
                "name": "limit",
                "in": "query",
                "required": False,
                "description": "How many items a page has at most.",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_LIMIT,
                    "default": DEFAULT_LIMIT,
                },
            },
            {
                "name": "cursor",
                "in": "query",
                "required": False,
                "description": "`next_cursor` of the page before. Take it as it is.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 1000},
            },
            {
                "name": "ordering",
                "in": "query",
                "required": False,
                "description": "A minus sign turns it round.",
                "schema": {
                    "type": "string",
                    "enum": words,
                    "default": first_ordering(view),
                },
            },
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Say in the schema what a page looks like."""
        return {
            "type": "object",
            "required": ["items", "next_cursor"],
            "additionalProperties": False,
            "properties": {
                "items": schema,
                "next_cursor": {
                    "type": ["string", "null"],
                    "description": "For the next page; null on the last one.",
                },
            },
        }


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if text.isascii() and text.isdecimal() and len(text) < 6:
        limit = int(text)
        if 1 <= limit <= MAX_LIMIT:
            return limit
    raise QueryInvalid(
        {"limit": _("Give a number from 1 to %(most)d.") % {"most": MAX_LIMIT}}
    )


def first_ordering(view: Any) -> str:
    """Return how a view's lists are ordered when nobody asks."""
    return str(view.default_ordering or next(iter(view.orderings)))


def _ordering(text: str, orderings: Mapping[str, str]) -> str:
    if text.removeprefix("-") in orderings:
        return text
    raise QueryInvalid(
        {"ordering": _("Choose one of: %(words)s") % {"words": ", ".join(orderings)}}
    )


def _behind(column: str, tie: str, after: Sequence[Any], *, is_down: bool) -> Q:
    how = "lt" if is_down else "gt"
    behind = Q(**{f"{column}__{how}": after[0]})
    if len(after) > 1:
        behind |= Q(**{column: after[0], f"{tie}__{how}": after[1]})
    return behind


def _value(row: Any, column: str) -> Any:
    value = row
    for part in column.split("__"):
        value = getattr(value, part)
    return write_moment(value) if isinstance(value, datetime) else value


def _write(ordering: str, values: Sequence[Any]) -> str:
    text = json.dumps([ordering, *values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(
    text: str, ordering: str, queryset: QuerySet[Any], column: str, tie: str
) -> list[Any]:
    """Return the values that a cursor holds; it may be anything that somebody typed."""
    wrong = QueryInvalid(
        {
            "cursor": _(
                "Take next_cursor of the page before as it is, with the same ordering."
            )
        }
    )
    try:
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        written, *values = json.loads(decoded.decode())
        keys = [column, tie] if tie and tie != column else [column]
        if written != ordering or len(values) != len(keys):
            raise wrong
        return [
            _typed(queryset, key, value)
            for key, value in zip(keys, values, strict=True)
        ]
    except (
        binascii.Error,
        UnicodeError,
        ValueError,
        TypeError,
        RecursionError,
        OverflowError,
        ValidationError,
    ) as error:
        raise wrong from error


def _typed(queryset: QuerySet[Any], column: str, value: Any) -> Any:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise TypeError(column)
    model: Any = queryset.model
    *path, last = column.split("__")
    for part in path:
        model = model._meta.get_field(part).related_model
    field = model._meta.pk if last == "pk" else model._meta.get_field(last)
    typed = field.to_python(value)
    if isinstance(typed, int) and abs(typed) >= 2**63:
        raise ValueError(column)
    if isinstance(typed, str) and "\0" in typed:
        raise ValueError(column)
    if isinstance(typed, datetime) and typed.tzinfo is None:
        raise ValueError(column)
    return typed
