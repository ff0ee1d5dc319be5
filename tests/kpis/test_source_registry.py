from __future__ import annotations

import logging
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from kpis.reading import Question, Reason, UnableToRead, number_of
from kpis.sources import registry
from tests.factories import make_service
from tests.kpis.asking import answers, only_answer
from tests.kpis.business import START, day


def source(kind, *tables):
    return SimpleNamespace(kind=kind, allowed_tables=list(tables))


def wrong(values):
    return set(registry.validate(values))


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({}, set()),
        (
            {"source": source("postgres", "t"), "sql": "SELECT 1 WHERE :end > :start"},
            set(),
        ),
        ({"source": source("postgres", "t"), "sql": ""}, {"sql"}),
        ({"source": source("postgres", "t"), "sql": "DROP TABLE t"}, {"sql"}),
        ({"source": source("http"), "json_path": "a.b"}, set()),
        ({"source": source("http"), "json_path": "["}, {"json_path"}),
        ({"source": source("http"), "json_path": "a", "sql": "x"}, {"sql"}),
        ({"source": source("manual")}, set()),
        ({"source": source("manual"), "measure": "mtta_s"}, {"measure"}),
        ({"source": source("portal"), "measure": "mtta_s"}, set()),
        ({"source": source("portal"), "measure": ""}, {"measure"}),
        ({"source": source("portal"), "measure": "series_p75"}, {"measure_target"}),
    ],
)
def test_a_kpi_is_checked_by_the_kind_of_its_source(values, fields):
    assert wrong(values) == fields


@pytest.mark.django_db
def test_a_measure_of_a_service_names_one_that_exists():
    make_service(slug="backend")
    values = {"source": source("portal"), "measure": "uptime_percent"}

    assert wrong(values | {"measure_target": "backend"}) == set()
    assert wrong(values | {"measure_target": "nowhere"}) == {"measure_target"}


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"kind": "postgres", "url": "postgresql://u@h/d"}, set()),
        ({"kind": "postgres", "url": "postgresql://u:pw@h/d"}, {"url"}),
        ({"kind": "postgres", "url": ""}, {"url"}),
        ({"kind": "http", "url": "https://h/x", "header": "Authorization"}, set()),
        ({"kind": "http", "url": "h", "header": "Host"}, {"url", "header"}),
        (
            {"kind": "http", "url": "https://h/x", "header": "A", "secret": "a\nb"},
            {"secret"},
        ),
        ({"kind": "portal"}, set()),
        ({"kind": "manual", "allowed_tables": ["a b"]}, {"allowed_tables"}),
        ({"kind": "manual", "allowed_tables": "a"}, {"allowed_tables"}),
    ],
)
def test_a_source_is_checked_by_its_kind(values, fields):
    assert set(registry.validate_source(values)) == fields


def test_nothing_is_read_by_hand():
    answer = only_answer(Question(kind="manual"), now=START)

    assert answer.reason is Reason.MANUAL


def test_a_mistake_of_ours_is_an_answer_and_in_the_log(monkeypatch, caplog):
    def broken(question, buckets, now):
        if question:
            raise ZeroDivisionError(f"while sending {question.secret}")
        yield

    kind = registry.Kind("x", broken, True, ())
    monkeypatch.setattr(registry, "KINDS", {"http": kind})

    with caplog.at_level(logging.ERROR):
        found = answers(
            Question(kind="http", secret="c4nary-c4nary"), day(0), day(1), now=START
        )

    assert [one.reason for one in found] == [Reason.INTERNAL] * 2
    assert "ZeroDivisionError" in caplog.text
    assert "c4nary" not in caplog.text


def test_messages_are_stored_in_the_source_language():
    with translation.override("fr"):
        answer = only_answer(Question(kind="manual"), now=START)

    assert answer.message == "Values of this KPI are entered by hand"


@given(
    st.one_of(
        st.integers(), st.floats(), st.decimals(), st.booleans(), st.text(), st.none()
    )
)
def test_a_number_is_finite_and_fits_or_is_refused(found):
    try:
        value = number_of(found)
    except UnableToRead:
        return
    assert isinstance(value, Decimal)
    assert value.is_finite()
    assert not isinstance(found, bool | str)
    assert abs(value) < 10**20
    assert value.as_tuple().exponent == -8
