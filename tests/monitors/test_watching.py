from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from incidents.models import Alert
from monitors import partitions, recording, watching
from monitors.models import (
    HeartbeatPing,
    LocationState,
    MaintenanceWindow,
    Monitor,
    MonitorState,
    StatusInterval,
    Threshold,
)
from tests.factories import make_monitor, make_priority_rules
from tests.monitors.test_recording import ledger, make_watched, passed, tell

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rows(db, now):
    partitions.ensure(now=now)
    make_priority_rules()
    Threshold.objects.create(name="Down", measure="down", critical_priority="p0")


def make_window(monitor, starts_at, *, hours=1.0) -> MaintenanceWindow:
    window = MaintenanceWindow.objects.create(
        name="Upgrade", starts_at=starts_at, duration_s=int(hours * 3600)
    )
    window.monitors.add(monitor)
    return window


def test_a_new_monitor_is_pending_with_an_open_ledger(now):
    monitor = make_monitor()

    watching.admit_new(now=now)
    watching.admit_new(now=now)

    assert ledger(monitor) == [("pending", now, None)]
    assert MonitorState.objects.get().status == "pending"


def test_switching_off_pauses_and_ends_the_alert(now):
    monitor = make_watched(now)
    tell(monitor, now, "---")
    later = now + timedelta(minutes=5)

    Monitor.objects.filter(pk=monitor.pk).update(is_enabled=False)
    watching.pause_and_resume(now=later)

    assert ledger(monitor)[-1] == ("paused", later, None)
    assert Alert.objects.get().status == "resolved"


def test_switching_on_starts_over(now):
    monitor = make_watched(now, is_enabled=False)
    later = now + timedelta(minutes=5)

    Monitor.objects.filter(pk=monitor.pk).update(is_enabled=True)
    watching.pause_and_resume(now=later)
    recording.record(
        findings=[passed(monitor, later + timedelta(seconds=5))], now=later
    )

    assert [status for status, *_ in ledger(monitor)] == ["paused", "pending", "up"]


def test_failing_inside_a_window_pages_nobody(now):
    monitor = make_watched(now)
    tell(monitor, now, "+")
    opens = now + timedelta(minutes=1)
    make_window(monitor, opens)

    watching.open_and_close_windows(now=opens + timedelta(seconds=3))
    tell(monitor, opens, "-----")

    assert MonitorState.objects.get().confirmed == "down"
    assert ledger(monitor)[-1] == ("maintenance", opens, None)
    assert not Alert.objects.exists()


def test_what_still_fails_when_the_window_closes_is_paged_from_then(now):
    monitor = make_watched(now)
    tell(monitor, now, "+")
    opens = now + timedelta(minutes=1)
    make_window(monitor, opens)
    watching.open_and_close_windows(now=opens)
    tell(monitor, opens, "---")
    closes = opens + timedelta(hours=1)

    watching.open_and_close_windows(now=closes)

    assert ledger(monitor)[-1] == ("down", closes, None)
    assert Alert.objects.get().started_at == closes


def test_after_a_calm_window_the_monitor_is_up_again(now):
    monitor = make_watched(now)
    tell(monitor, now, "+")
    opens = now + timedelta(minutes=1)
    make_window(monitor, opens)
    watching.open_and_close_windows(now=opens)
    closes = opens + timedelta(hours=1)

    watching.open_and_close_windows(now=closes)

    assert [row[0] for row in ledger(monitor)] == ["pending", "up", "maintenance", "up"]


def test_the_ledger_never_has_holes_or_overlaps(now):
    monitor = make_watched(now)
    tell(monitor, now, "+---++-+---")
    watching.expire_stale(now=now + timedelta(hours=2))
    tell(monitor, now + timedelta(hours=3), "--++")

    rows = list(StatusInterval.objects.order_by("started_at"))

    for earlier, later in itertools.pairwise(rows):
        assert earlier.ended_at == later.started_at
    assert rows[-1].ended_at is None


def test_a_heartbeat_that_pings_is_up(now):
    monitor = make_watched(now, kind="heartbeat", target="", options={})
    HeartbeatPing.objects.create(monitor=monitor, at=now, kind="success")

    watching.take_heartbeats(now=now + timedelta(seconds=2))

    assert MonitorState.objects.get().status == "up"


def test_a_heartbeat_is_unknown_only_while_we_were_away(now):
    monitor = make_watched(now, kind="heartbeat", target="", options={})
    HeartbeatPing.objects.create(monitor=monitor, at=now, kind="success")
    watching.watch(now=now + timedelta(seconds=2))
    back = now + timedelta(minutes=20)

    watching.watch(now=back)

    statuses = [row[0] for row in ledger(monitor)]
    assert statuses == ["up", "unknown", "up"]
    assert ledger(monitor)[-1] == ("up", back, None)


def test_blindness_is_told_once_and_ends(now):
    def note(seconds, blind_since):
        watching.note_connectivity(
            location="main",
            blind_since=blind_since,
            now=now + timedelta(seconds=seconds),
        )

    since = now.timestamp()
    note(5, since)
    assert not Alert.objects.exists()
    for seconds in (15, 20, 25):
        note(seconds, since)
    assert Alert.objects.get().status == "firing"
    assert LocationState.objects.get().is_blind

    note(60, None)

    assert Alert.objects.get().status == "resolved"
    assert not LocationState.objects.get().is_blind
