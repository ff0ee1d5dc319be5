"""Sentences: what a threshold means, so that nobody has to read its columns."""

from __future__ import annotations

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from incidents.models import Service
from monitors.models import Monitor, Threshold
from monitors.thresholds.sentences import (
    alert_detail,
    alert_title,
    say_slowest_phase,
    say_value,
    threshold_sentence,
)

BACKEND = Service(name="Backend")


def make_threshold(measure, **values):
    return Threshold(name="API", measure=measure, **values)


def sentence(measure, **values):
    """The sentence with plain spaces, as a person reads it."""
    return threshold_sentence(make_threshold(measure, **values)).replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("measure", "values", "expected"),
    [
        (
            "latency",
            {
                "service": BACKEND,
                "critical_bound": 2000,
                "warning_bound": 500,
                "clear_bound": 1800,
                "for_count": 3,
            },
            "Critical (P1) when the latency of any Backend monitor is above 2 s, 3 times"
            " in a row; over when back under 1.8 s. Warning (P2) above 500 ms, 3 times in"
            " a row.",
        ),
        (
            "latency",
            {
                "aggregate": "p95",
                "window_s": 900,
                "warning_bound": 500,
                "min_sample_count": 10,
                "warning_priority": "p3",
            },
            "Warning (P3) when the 95th percentile of the latency of any monitor over"
            " 15 min is above 500 ms. Fewer than 10 values say nothing.",
        ),
        (
            "latency",
            {"aggregate": "avg", "critical_bound": 100, "tag": "api"},
            "Critical (P1) when the latency of any monitor tagged “api” is above"
            " 100 ms.",
        ),
        (
            "error_ratio",
            {
                "window_s": 300,
                "critical_bound": 50,
                "warning_bound": 10,
                "critical_priority": "p0",
                "warning_priority": "p1",
            },
            "Critical (P0) when the share of failed checks of any monitor over 5 min is"
            " above 50 %. Warning (P1) above 10 %.",
        ),
        (
            "failures",
            {"critical_bound": 5, "monitor": Monitor(name="Login")},
            "Critical (P1) when the number of failures in a row of Login is above 5.",
        ),
        (
            "tls_days",
            {
                "comparison": "below",
                "warning_bound": 14,
                "critical_bound": 1,
                "clear_bound": 20,
            },
            "Critical (P1) when the time left on the certificate of any monitor is below"
            " 1 day; over when back above 20 days. Warning (P2) below 14 days; over when"
            " back above 20 days.",
        ),
        (
            "series",
            {
                "series_name": "cpu_percent",
                "series_labels": {"service": "backend", "env": "prod"},
                "service": BACKEND,
                "critical_bound": 80,
                "for_s": 300,
                "for_count": 2,
            },
            "Critical (P1) when the value of cpu_percent (env=prod, service=backend) is"
            " above 80, 2 times in a row and for 5 min.",
        ),
        (
            "series",
            {
                "series_name": "orders",
                "aggregate": "sum",
                "window_s": 86400,
                "comparison": "below",
                "warning_bound": 0.5,
                "for_s": 60,
            },
            "Warning (P2) when the sum of orders over 1 d is below 0.5, for 1 min.",
        ),
        (
            "no_data",
            {"series_name": "orders", "critical_bound": 7200},
            "Critical (P1) when the age of the last value of orders is above 2 h.",
        ),
        (
            "down",
            {"critical_priority": "p0"},
            "Critical (P0) when any monitor is down.",
        ),
        (
            "down",
            {"for_s": 120, "service": BACKEND, "tag": "api"},
            "Critical (P1) when any Backend monitor tagged “api” has been down for"
            " 2 min.",
        ),
        ("latency", {}, "Without a bound it never fires."),
    ],
)
def test_a_threshold_is_said_in_plain_words(measure, values, expected):
    assert sentence(measure, **values) == expected


@given(
    measure=st.sampled_from(Threshold.Measure.values),
    aggregate=st.sampled_from(Threshold.Aggregate.values),
    comparison=st.sampled_from(Threshold.Comparison.values),
    window_s=st.sampled_from([0, 1, 90, 10**9]),
    bounds=st.tuples(
        *[st.none() | st.floats(allow_nan=False, allow_infinity=False)] * 3
    ),
    for_count=st.integers(min_value=1, max_value=10**6),
    for_s=st.sampled_from([0, 59, 10**9]),
)
def test_every_threshold_can_be_said(
    measure, aggregate, comparison, window_s, bounds, for_count, for_s
):
    critical_bound, warning_bound, clear_bound = bounds
    words = sentence(
        measure,
        aggregate=aggregate,
        comparison=comparison,
        window_s=window_s,
        critical_bound=critical_bound,
        warning_bound=warning_bound,
        clear_bound=clear_bound,
        for_count=for_count,
        for_s=for_s,
        series_name="x",
    )

    assert words.endswith(".")
    assert "%(" not in words
    assert "None" not in words


@pytest.mark.parametrize(
    ("measure", "value", "unit", "expected"),
    [
        ("latency", 420.4, "", "420.4 ms"),
        ("latency", 2340, "", "2.34 s"),
        ("error_ratio", 33.3333, "", "33.33 %"),
        ("tls_days", -1, "", "-1 day"),
        ("tls_days", 13.04, "", "13 days"),
        ("failures", 4, "", "4"),
        ("series", 1234567.25, "", "1234567.25"),
        ("series", 0.0000001, "", "0"),
        ("series", 90, "%", "90 %"),
        ("no_data", 3700, "", "1 h 1 min"),
    ],
)
def test_values_are_said_with_the_digits_they_deserve(measure, value, unit, expected):
    assert say_value(measure, value, unit).replace("\u00a0", " ") == expected


def test_numbers_follow_the_language():
    with translation.override("fr"):
        words = say_value("latency", 2340)

    assert words.startswith("2,34")


@pytest.mark.parametrize(
    ("measure", "comparison", "expected"),
    [
        ("down", "above", "Login is down"),
        ("latency", "above", "Login answers slowly"),
        ("error_ratio", "above", "Login fails too often"),
        ("failures", "above", "Login keeps failing"),
        ("tls_days", "below", "The certificate of Login expires soon"),
        ("no_data", "above", "Login has no data"),
        ("series", "above", "Login is too high"),
        ("series", "below", "Login is too low"),
    ],
)
def test_an_alert_has_a_title(measure, comparison, expected):
    threshold = make_threshold(measure, comparison=comparison)

    assert alert_title(threshold, "Login") == expected


def test_the_evidence_names_value_bound_and_threshold():
    threshold = make_threshold("latency", critical_bound=2000, warning_bound=500)

    critical = alert_detail(threshold, level="critical", value=2340)
    warning = alert_detail(threshold, level="warning", value=600)

    assert critical == "2.34\u00a0s, above 2\u00a0s (threshold “API”)"
    assert warning == "600\u00a0ms, above 500\u00a0ms (threshold “API”)"


def test_the_evidence_of_the_end_is_the_value_alone():
    threshold = make_threshold("latency", critical_bound=2000)

    assert alert_detail(threshold, level="ok", value=120) == "120\u00a0ms"


def test_the_slowest_phase_is_named():
    assert say_slowest_phase("first_byte", 1900) == (
        "Slowest phase: first byte, 1.9\u00a0s."
    )
