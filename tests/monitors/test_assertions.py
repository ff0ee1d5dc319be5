from __future__ import annotations

import time

import pytest

from monitors.probes.assertions import OPERATORS, SUBJECTS, Seen, check, describe, judge
from monitors.probes.base import UnableToParse
from tests.monitors.probing import expect

JSON = b"""{"services": {"db": "down", "cache": null}, "ok": true, "count": 5, "ratio": 0.5,
 "tags": ["a", 2, true], "text": "5", "big": 123456789012345678901}"""
SEEN = Seen(
    status=503,
    headers=(
        (b"Content-Type", b"application/json"),
        (b"X-A", b"1"),
        (b"x-a", b"2"),
        (b"X-N", b"3"),
    ),
    body=JSON,
    latency_ms=512.4,
    days_left=13.96,
    answer="10 mail.example.",
)


@pytest.mark.parametrize(
    ("subject", "argument", "operator", "expected"),
    [
        ("status", "", "equals", "503"),
        ("status", "", "not_equals", "200"),
        ("status", "", "in_ranges", "200-299, 500-599"),
        ("status", "", "less_than", "504"),
        ("header", "content-type", "equals", "application/json"),
        ("header", "X-A", "equals", "1, 2"),
        ("header", "X-B", "is_missing", ""),
        ("header", "X-B", "not_contains", "x"),
        ("header", "X-B", "not_equals", "x"),
        ("header", "X-A", "exists", ""),
        ("header", "x-n", "greater_than", "0"),
        ("body", "", "contains", '"db": "down"'),
        ("body", "", "not_contains", "Traceback"),
        ("body", "", "matches", r'(?i)"DB":\s*"d.*n"'),
        ("body", "", "not_matches", r"^\s*<"),
        ("json", "services.db", "equals", "down"),
        ("json", "services.db", "matches", "^d"),
        ("json", "services.cache", "equals", "null"),
        ("json", "services.nothing", "is_missing", ""),
        ("json", "ok", "equals", "true"),
        ("json", "count", "equals", "5.0"),
        ("json", "count", "in_ranges", "1-5"),
        ("json", "text", "equals", "5"),
        ("json", "text", "less_than", "6"),
        ("json", "ratio", "greater_than", "0.4"),
        ("json", "big", "equals", "123456789012345678901"),
        ("json", "tags", "contains", "a"),
        ("json", "tags", "contains", "2"),
        ("json", "tags", "equals", '["a", 2, true]'),
        ("json", "services", "contains", "db"),
        ("json", "length(tags)", "equals", "3"),
        ("json", "services", "matches", '"db": "down"'),
        ("latency", "", "less_than", "513"),
        ("days_left", "", "greater_than", "13.9"),
        ("answer", "", "contains", "mail.example"),
    ],
)
def test_an_expectation_that_is_met_says_nothing(subject, argument, operator, expected):
    spec = expect(subject, operator, expected, argument=argument)

    check(spec)

    assert judge((spec,), SEEN) is None


@pytest.mark.parametrize(
    ("subject", "argument", "operator", "expected", "text"),
    [
        (
            "json",
            "services.db",
            "equals",
            "ok",
            'JSON services.db: expected "ok", saw "down"',
        ),
        ("status", "", "equals", "200", "Status: expected 200, saw 503"),
        ("status", "", "in_ranges", "200-299", "Status: expected 200-299, saw 503"),
        ("header", "X-B", "equals", "1", 'Header X-B: expected "1", saw nothing'),
        ("header", "X-B", "exists", "", "Header X-B: expected, but missing"),
        (
            "header",
            "X-A",
            "is_missing",
            "",
            'Header X-A: expected to be missing, saw "1, 2"',
        ),
        (
            "body",
            "",
            "contains",
            "fine",
            'Body: expected to contain "fine", saw "{"services": {"db": "down", "cache":'
            ' null}, "ok": true, "count": 5, "ratio": 0.…"',
        ),
        ("json", "ok", "equals", "1", 'JSON ok: expected "1", saw true'),
        ("json", "count", "equals", "true", 'JSON count: expected "true", saw 5'),
        (
            "json",
            "tags",
            "contains",
            "b",
            'JSON tags: expected to contain "b", saw ["a", 2, true]',
        ),
        (
            "json",
            "services.db",
            "less_than",
            "1",
            'JSON services.db: expected less than 1, saw "down"',
        ),
        (
            "json",
            "services.cache",
            "greater_than",
            "1",
            "JSON services.cache: expected more than 1, saw nothing",
        ),
        ("latency", "", "less_than", "500", "Latency: expected less than 500, saw 512"),
        (
            "days_left",
            "",
            "greater_than",
            "14",
            "Certificate days left: expected more than 14, saw 13.9",
        ),
        (
            "answer",
            "",
            "not_matches",
            "mail",
            'Answer: expected not to match "mail", saw "10 mail.example."',
        ),
        (
            "answer",
            "",
            "not_equals",
            "10 mail.example.",
            'Answer: expected anything but "10 mail.example.", saw "10 mail.example."',
        ),
    ],
)
def test_an_expectation_that_is_not_met_tells_what_was_seen(
    subject, argument, operator, expected, text
):
    spec = expect(subject, operator, expected, argument=argument)

    check(spec)

    assert judge((spec,), SEEN) == text


def test_the_first_unmet_expectation_is_told():
    specs = (
        expect("status", "equals", "503"),
        expect("latency", "less_than", "1"),
        expect("status", "equals", "1"),
    )

    assert judge(specs, SEEN) == "Latency: expected less than 1, saw 512"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[" * 100_000, b"\xff\xfe", b"1" * 5000, b'{"a":']
)
def test_what_is_not_json_is_told(body):
    spec = expect("json", "exists", argument="a")

    assert judge((spec,), Seen(body=body)) == "JSON a: the answer is not JSON"


def test_a_kind_without_the_subject_sees_nothing():
    text = judge((expect("days_left", "greater_than", "7"),), Seen())

    assert text == "Certificate days left: expected more than 7, saw nothing"


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (b"text/html; charset=ISO-8859-1", "café".encode("latin-1"), "café"),
        (b"text/html", "café".encode(), "café"),
        # Both would be far too slow on a large body of the peer's choosing.
        (b"text/html; charset=punycode", b"caf-dma", "caf-dma"),
        (b"text/html; charset=unicode_escape", rb"caf\u00e9", r"caf\u00e9"),
    ],
)
def test_the_body_is_read_in_its_own_charset(content_type, body, expected):
    seen = Seen(headers=((b"content-type", content_type),), body=body)

    assert judge((expect("body", "equals", expected),), seen) is None


def test_a_pattern_that_ruins_other_engines_is_fast():
    seen = Seen(body=b"a" * 100_000 + b"b")
    started = time.process_time()

    judge((expect("body", "matches", "^(a+)+$"),), seen)

    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (expect("weather", "equals", "fine"), "subject"),
        (expect("body", "smells", "good"), "operator"),
        (expect("status", "contains", "5"), "operator"),
        (expect("latency", "exists"), "operator"),
        (expect("status", "equals", "many"), "expected"),
        (expect("status", "less_than", "nan"), "expected"),
        (expect("status", "in_ranges", "2xx"), "expected"),
        (expect("header", "equals", "x"), "argument"),
        (expect("header", "equals", "x", argument="Bad Name"), "argument"),
        (expect("json", "equals", "x"), "argument"),
        (expect("json", "equals", "x", argument="a..b"), "argument"),
        (expect("body", "equals", "x", argument="y"), "argument"),
        (expect("body", "matches", "("), "expected"),
        (expect("body", "matches", r"(a)\1"), "expected"),
        (expect("body", "matches", "(((a{100}){100}){100}){100}"), "expected"),
        (expect("body", "contains"), "expected"),
        (expect("body", "exists", "x"), "expected"),
        (expect("json", "less_than", "much", argument="a"), "expected"),
        (expect("body", "contains", "x" * 1001), "expected"),
    ],
)
def test_senseless_expectations_are_refused(spec, field):
    with pytest.raises(UnableToParse) as caught:
        check(spec)

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            expect("json", "equals", "ok", argument="services.db"),
            'JSON services.db equals "ok"',
        ),
        (expect("status", "in_ranges", "200-299"), "Status is in the ranges 200-299"),
        (expect("latency", "less_than", "500"), "Latency is less than 500"),
        (expect("header", "is_missing", argument="Server"), "Header Server is missing"),
    ],
)
def test_an_expectation_reads_as_a_phrase(spec, text):
    assert describe(spec) == text


def test_every_operator_fits_some_subject():
    for operator in OPERATORS:
        expected = "" if operator in ("exists", "is_missing") else "1"
        check(expect("body", operator, expected))
    assert set(SUBJECTS) == {
        "status",
        "header",
        "body",
        "json",
        "latency",
        "days_left",
        "answer",
    }
