from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitors.probes import registry
from monitors.probes.base import Outcome, Reason, UnableToParse
from monitors.probes.heartbeat import deadline, due_at
from tests.monitors.probing import probe, run


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def options(**raw):
    return registry.parse_options("heartbeat", raw)


def test_a_heartbeat_that_never_came_has_no_deadline():
    assert deadline(options=options(), last_ping_at=None, now=at("2026-03-02")) is None


def test_an_interval_counts_from_the_last_ping():
    chosen = options(interval_s=600, grace_s=60)
    last, now = at("2026-03-02T10:00"), at("2026-03-02T10:05")

    assert due_at(options=chosen, last_ping_at=last, now=now) == at("2026-03-02T10:10")
    assert deadline(options=chosen, last_ping_at=last, now=now) == at(
        "2026-03-02T10:11"
    )


def test_a_ping_from_the_future_does_not_put_off_the_alarm():
    chosen = options(interval_s=600, grace_s=0)
    now = at("2026-03-02T10:00")

    due = deadline(options=chosen, last_ping_at=now + timedelta(days=3), now=now)

    assert due == at("2026-03-02T10:10")


@pytest.mark.parametrize(
    ("zone", "last", "due"),
    [
        ("UTC", "2026-03-02T02:31", "2026-03-03T02:30"),
        ("UTC", "2026-03-02T02:29", "2026-03-02T02:30"),
        ("Europe/Paris", "2026-01-02T02:00", "2026-01-03T01:30"),
        ("Europe/Paris", "2026-07-02T02:00", "2026-07-03T00:30"),
        # 02:30 doesn't exist on 29 March; it comes when the clock has jumped to 03:00.
        ("Europe/Paris", "2026-03-28T02:00", "2026-03-29T01:00"),
        ("America/New_York", "2026-03-02T12:00", "2026-03-03T07:30"),
    ],
)
def test_a_cron_expression_runs_in_its_own_zone(zone, last, due):
    chosen = options(cron="30 2 * * *", zone=zone, grace_s=0)
    last = at(last)

    found = deadline(options=chosen, last_ping_at=last, now=last + timedelta(hours=1))

    assert found == at(due)
    assert found.tzinfo is UTC


def test_weekends_can_be_left_out():
    chosen = options(cron="0 8 * * 1-5", zone="UTC", grace_s=900)
    friday = at("2026-03-06T08:01")

    found = deadline(options=chosen, last_ping_at=friday, now=friday)

    assert found == at("2026-03-09T08:15")


def test_the_portals_zone_is_the_default(settings):
    settings.TIME_ZONE = "Asia/Tokyo"

    assert options(cron="0 0 * * *").zone.key == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"cron": "every day"}, "cron"),
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"cron": "* * * *"}, "cron"),
        ({"zone": "Europe/Nowhere"}, "zone"),
        ({"zone": "../../etc/passwd"}, "zone"),
        ({"interval_s": 5}, "interval_s"),
        ({"interval_s": 60.5}, "interval_s"),
        ({"grace_s": -1}, "grace_s"),
    ],
)
def test_senseless_schedules_are_refused(raw, field):
    with pytest.raises(UnableToParse) as caught:
        options(**raw)

    assert caught.value.field == field


def test_a_heartbeat_has_no_target():
    heartbeat = registry.get("heartbeat")

    assert heartbeat.is_passive
    heartbeat.check_target("")
    with pytest.raises(UnableToParse):
        heartbeat.check_target("https://example.org")


def test_probing_a_heartbeat_is_our_own_mistake():
    result = run(probe("heartbeat", ""))

    assert (result.outcome, result.reason) == (Outcome.ERROR, Reason.INTERNAL)
