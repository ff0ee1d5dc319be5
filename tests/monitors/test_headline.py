"""The first sentence of a monitor's page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitors.pages.headline import Situation, headline
from monitors.status import Status

FIVE_MINUTES = timedelta(minutes=5)


def said(now, **values) -> str:
    values.setdefault("since", now - FIVE_MINUTES)
    return headline(situation=Situation(**values), now=now).text


def notes(now, **values) -> list[str]:
    values.setdefault("since", now - FIVE_MINUTES)
    found = headline(situation=Situation(**values), now=now).notes
    return [note.replace("\u00a0", " ") for note in found]


def test_sentence_says_since_when_and_why(now):
    assert (
        said(now, status=Status.DOWN, message="HTTP 503, expected 200–299")
        == "Down since 09:55:00: HTTP 503, expected 200–299"
    )
    assert said(now, status=Status.UP) == "Up since 09:55:00"
    assert said(now, status=Status.PAUSED) == "Paused since 09:55:00"
    assert (
        said(now, status=Status.UNKNOWN)
        == "Unknown since 09:55:00: nobody has looked since"
    )


@pytest.mark.parametrize(
    ("is_heartbeat", "text"),
    [(True, "Waiting for the first ping"), (False, "Waiting for the first result")],
)
def test_pending_monitor_waits(now, is_heartbeat, text):
    assert said(now, status=Status.PENDING, is_heartbeat=is_heartbeat) == text


def test_misconfigured_monitor_says_what_is_wrong(now):
    found = said(now, status=Status.UP, configuration_error="target: no host")

    assert found == "Misconfigured, so nobody looks: target: no host"


def test_notes_say_how_far_the_last_probe_got(now):
    phases = {"dns_ms": 3.0, "connect_ms": 12.2, "first_byte_ms": 40.4}

    assert notes(now, status=Status.DOWN, phases_ms=phases) == [
        "DNS 3.0 ms, connect 12 ms, first byte 40 ms"
    ]


def test_notes_say_how_near_a_change_is(now):
    assert notes(
        now,
        status=Status.UP,
        failure_count=2,
        failures_to_down=3,
        last_message="HTTP 500",
    ) == ["Failing now, down after 3 in a row: 2 so far (HTTP 500)"]
    assert notes(now, status=Status.DOWN, success_count=1, successes_to_up=2) == [
        "Passing again, up after 2 in a row: 1 so far"
    ]
    assert notes(now, status=Status.UP, success_count=9) == []


def test_notes_say_when_maintenance_ends_and_that_it_flaps(now):
    assert notes(now, status=Status.MAINTENANCE, quiet_until=now + FIVE_MINUTES) == [
        "until 10:05:00"
    ]
    assert notes(now, status=Status.UP, is_flapping=True) == [
        "Flapping: it changes again and again"
    ]
