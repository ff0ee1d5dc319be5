"""Equal values have one text; what has none is refused with its place."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t4g_portal.lib.audit.canonical import (
    UnableToCanonicalize,
    canonical,
    digest,
    plain,
)
from t4g_portal.lib.audit.chain import ActorKind

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(VALUES)
def test_text_reads_back_as_the_same_value(value):
    assert json.loads(canonical(value)) == value
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(st.dictionaries(TEXT, st.integers()))
def test_order_of_keys_says_nothing(value):
    assert digest(dict(reversed(value.items()))) == digest(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        (datetime(2026, 3, 2, 9, tzinfo=UTC), '"2026-03-02T09:00:00.000000Z"'),
        (
            datetime(2026, 3, 2, 9, tzinfo=timezone(timedelta(hours=2))),
            '"2026-03-02T07:00:00.000000Z"',
        ),
        (date(2026, 3, 2), '"2026-03-02"'),
        (1.5, '"1.5"'),
        (Decimal("1.50"), '"1.50"'),
        (UUID(int=7), '"00000000-0000-0000-0000-000000000007"'),
        (ActorKind.USER, '"user"'),
        (("é", "\n"), '["é","\\n"]'),
    ],
)
def test_value_has_this_text(value, text):
    assert canonical(value).decode() == text


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [datetime(2026, 3, 2)]}, r"\$\.a\[0\]: a moment without a zone"),  # noqa: DTZ001
        ({1: "a"}, r"\$: the key 1 is no text"),
        ({"a": "x\0"}, r"\$\.a: text with a NUL"),
        (["\ud800"], r"\$\[0\]: text that is no Unicode"),
        ({"a": b"x"}, r"\$\.a: bytes has no canonical text"),
        ({"a": {1}}, r"\$\.a: set has no canonical text"),
    ],
)
def test_value_without_a_text_is_refused(value, place):
    with pytest.raises(UnableToCanonicalize, match=place):
        plain(value)
