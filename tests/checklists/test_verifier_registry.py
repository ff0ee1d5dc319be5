"""Every verifier has one shape, says all it answers, and never raises."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from django.utils import translation

from checklists.verifiers import registry, saying
from checklists.verifiers.base import Finding, Parameter, Verdict, together
from checklists.verifiers.parameters import KINDS
from tests.checklists.asking import subject_of

NAMES = [name for name, _label in registry.choices()]


@pytest.mark.parametrize("name", NAMES)
def test_declared_parameters_make_sense(name):
    verifier = registry.get(name)
    assert verifier is not None

    filled = {
        one.name: one.default for one in verifier.parameters if not one.is_required
    }
    missing = {one.name for one in verifier.parameters if one.is_required}

    assert {one.kind for one in verifier.parameters} <= set(KINDS)
    assert set(registry.problems(name, filled)) == missing
    assert str(verifier.label)
    assert str(verifier.help).endswith(".")


@pytest.mark.parametrize(
    ("parameters", "where"),
    [
        ([], ""),
        ({"urls": []}, "urls"),
        ({"urls": ["example.org"]}, "urls"),
        ({"urls": ["https://me:secret@example.org/"]}, "urls"),
        ({"urls": ["http://[::1"]}, "urls"),
        ({"urls": ["https://example.org/"] * 51}, "urls"),
        ({"urls": "https://example.org/"}, "urls"),
        ({}, "urls"),
        ({"urls": ["https://example.org"], "max_interval_s": 0}, "max_interval_s"),
        ({"urls": ["https://example.org"], "max_interval_s": True}, "max_interval_s"),
        ({"urls": ["https://example.org"], "max_interval_s": 1.5}, "max_interval_s"),
        ({"urls": ["https://example.org"], "often": 1}, "often"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_by_name(parameters, where):
    assert list(registry.problems("monitor_exists", parameters)) == [where]


@pytest.mark.parametrize(
    ("name", "parameters", "where"),
    [
        ("drill_passed", {"priority": "p9"}, "priority"),
        ("drill_passed", {"any_service": "yes"}, "any_service"),
        ("drill_passed", {"service": "a\0b"}, "service"),
        ("channel_receipt", {"methods": ["pigeon"]}, "methods"),
        ("endpoint_answers", {"url": "ftp://example.org"}, "url"),
        (
            "endpoint_answers",
            {"url": "https://example.org", "expected_statuses": "9"},
            "expected_statuses",
        ),
        (
            "endpoint_answers",
            {"url": "https://example.org", "json_path": "a["},
            "json_path",
        ),
        ("series_watched", {"series": ["cpu{"]}, "series"),
        ("nobody", {}, ""),
    ],
)
def test_each_kind_of_parameter_is_checked(name, parameters, where):
    assert list(registry.problems(name, parameters)) == [where]


def test_what_makes_no_sense_any_more_fails_with_the_reason(now, db):
    found = registry.look("monitor_exists", subject_of(now=now), {"urls": []}, now=now)

    assert (found.verdict, found.code) == (Verdict.FAILED, "misconfigured")
    said = registry.words("monitor_exists", found.code, found.values)
    assert said.endswith("urls: Name at least one")


def test_verifier_that_is_gone_says_so_and_passes_nothing(now, db):
    found = registry.look("oracle", subject_of(now=now), {}, now=now)

    assert found.verdict is Verdict.UNKNOWN
    assert "oracle" in registry.words("oracle", found.code, found.values)
    assert registry.label("oracle") == "oracle"


def test_mistake_of_ours_is_unknown_and_logged(now, db, monkeypatch, caplog):
    def broken(*_args):
        raise RuntimeError("a bug")

    mended = registry.get("schedule_covered")
    assert mended is not None
    monkeypatch.setitem(
        registry._VERIFIERS, "schedule_covered", replace(mended, look=broken)
    )
    with caplog.at_level(logging.ERROR):
        found = registry.look("schedule_covered", subject_of(now=now), {}, now=now)

    assert (found.verdict, found.code) == (Verdict.UNKNOWN, "internal")
    assert "a bug" in caplog.text


def test_worst_of_several_speaks_and_all_are_kept():
    found = [
        Finding(Verdict.PASSED, "up", {"id": 1}, {"name": "One"}),
        Finding(Verdict.UNKNOWN, "pending", {"id": 2}, {"name": "Two"}),
        Finding(Verdict.FAILED, "down", {"id": 3}, {"name": "Three"}),
    ]

    both = together("monitors", found, code="all_up")

    assert (both.verdict, both.code) == (Verdict.FAILED, "down")
    assert both.values == {"name": "Three"}
    assert both.looked_at == {"monitors": [{"id": 1}, {"id": 2}, {"id": 3}]}
    assert [one["code"] for one in both.observed["monitors"]] == [
        "up",
        "pending",
        "down",
    ]


def test_one_alone_speaks_for_itself_and_several_are_counted():
    one = Finding(Verdict.PASSED, "up", {"id": 1}, {"name": "One"})

    assert together("monitors", [one], code="all_up").code == "up"
    assert together("monitors", [one, one], code="all_up").values == {"count": 2}


def test_values_are_written_as_their_names_say():
    with translation.override("en"):
        said = saying.say(
            {"slow": "%(name)s %(latency_ms)s %(wait_s)s %(since_at)s %(names)s"},
            "slow",
            {
                "name": "API",
                "latency_ms": 1240,
                "wait_s": 90,
                "since_at": "2026-03-02T09:00:00Z",
                "names": ["a", "b"],
            },
        )

    assert said.replace("\u00a0", " ") == (
        "API 1.24 s 1 min 30 s Mon 2 Mar 2026, 10:00:00 CET a, b"
    )


def test_code_of_another_version_is_said_as_it_is():
    assert registry.words("monitor_up", "levitates", {}) == "levitates"
    # The values of another version.
    assert registry.words("monitor_up", "slow", {"name": "API"}) == "slow"


def test_what_was_looked_at_is_listed_line_by_line():
    lines = saying.facts(
        {
            "days": 14,
            "id": 3,
            "monitors": [
                {"id": 1, "name": "API", "target": "http://api", "interval_s": 60},
                {"id": 2, "name": "Web", "expectations": []},
            ],
        }
    )

    assert [(one.label, one.text.replace("\u00a0", " ")) for one in lines] == [
        ("Days", "14"),
        ("Monitors", "API, Target: http://api, Interval: 1 min"),
        ("Monitors", "Web"),
    ]


def test_parameter_without_default_is_needed():
    assert Parameter("url", "address", "url").is_required
    assert not Parameter("url", "address", "url", default="").is_required


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("platform_event", {"platform": "vercel"}),
        ("log_received", {}),
        ("web_vitals", {}),
    ],
)
def test_source_of_a_later_capability_is_not_connected_and_never_passed(
    name, parameters, now, db
):
    found = registry.look(name, subject_of(now=now), parameters, now=now)

    assert found.verdict is Verdict.NOT_CONNECTED
    assert registry.words(name, found.code, found.values).startswith("Not connected")
    assert found.looked_at
