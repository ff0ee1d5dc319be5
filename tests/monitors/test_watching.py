from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from django.db import connection

from incidents.models import Alert
from monitors import recording, watching
from monitors.history import partitions
from monitors.models import (
    HeartbeatPing,
    LocationState,
    MaintenanceWindow,
    Monitor,
    MonitorState,
    ProbeSlot,
    StatusInterval,
    Threshold,
)
from tests.factories import make_monitor, make_priority_rules, make_service
from tests.monitors.test_recording import (
    ledger,
    make_watched,
    passed,
    spoil_secret,
    tell,
)

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


MINUTE = timedelta(minutes=1)


def statuses(monitor):
    return [row[0] for row in ledger(monitor)]


def test_what_nobody_saw_before_a_pause_is_unknown(now):
    monitor = make_watched(now)
    tell(monitor, now, "+")
    back = now + timedelta(hours=1)
    Monitor.objects.update(is_enabled=False)

    watching.watch(now=back)

    assert statuses(monitor) == ["pending", "up", "unknown", "paused"]
    assert ledger(monitor)[-1] == ("paused", back, None)


def test_what_nobody_saw_before_a_window_is_unknown(now):
    monitor = make_watched(now)
    tell(monitor, now, "+")
    opens = now + 30 * MINUTE
    make_window(monitor, opens)

    watching.watch(now=opens + 30 * MINUTE)

    assert statuses(monitor) == ["pending", "up", "unknown", "maintenance"]
    assert ledger(monitor)[-1] == ("maintenance", opens, None)


def test_a_result_inside_a_window_leaves_what_nobody_saw_before_it_unknown(now):
    monitor = make_watched(now)
    tell(monitor, now, "+")
    opens = now + 30 * MINUTE
    make_window(monitor, opens)
    back = opens + MINUTE / 2

    recording.record(findings=[passed(monitor, back)], now=back)

    assert statuses(monitor) == ["pending", "up", "unknown", "maintenance"]


def test_a_window_planned_late_makes_no_outage_undone(now):
    monitor = make_watched(now)
    tell(monitor, now, "+---")
    outage = ledger(monitor)[-1][1]
    planned = now + 2 * MINUTE
    make_window(monitor, now)

    watching.open_and_close_windows(now=planned)

    assert ledger(monitor)[-2:] == [
        ("down", outage, planned),
        ("maintenance", planned, None),
    ]


def test_a_window_planned_late_begins_when_it_was_planned(now):
    monitor = make_watched(now)
    tell(monitor, now, "+" * 30)
    planned = now + 10 * MINUTE
    make_window(monitor, now + 5 * MINUTE)

    watching.open_and_close_windows(now=planned)

    assert ledger(monitor)[-1] == ("maintenance", planned, None)


def test_a_recovery_inside_a_window_ends_the_alert_of_before(now):
    monitor = make_watched(now)
    tell(monitor, now, "+---")
    opens = now + 2 * MINUTE
    make_window(monitor, opens)
    watching.watch(now=opens)
    assert Alert.objects.get().status == "firing"

    tell(monitor, opens, "++")

    assert ledger(monitor)[-1] == ("maintenance", opens, None)
    assert Alert.objects.get().status == "resolved"


def test_resuming_inside_a_window_leaves_the_pause_a_pause(now):
    monitor = make_watched(now, is_enabled=False)
    make_window(monitor, now + MINUTE)
    Monitor.objects.update(is_enabled=True)
    resumed = now + 10 * MINUTE

    watching.watch(now=resumed)

    assert ledger(monitor) == [
        ("paused", now, resumed),
        ("maintenance", resumed, None),
    ]


def test_a_paused_heartbeat_has_one_stretch_of_pause(now):
    monitor = make_watched(now, kind="heartbeat", target="", options={})
    HeartbeatPing.objects.create(monitor=monitor, at=now, kind="success")
    watching.watch(now=now + timedelta(seconds=2))
    Monitor.objects.update(is_enabled=False)
    paused_at = now + timedelta(seconds=5)

    for minutes in range(10):
        watching.watch(now=paused_at + minutes * MINUTE)

    assert ledger(monitor)[-1] == ("paused", paused_at, None)


def test_a_secret_that_cannot_be_read_keeps_no_other_monitor_from_its_status(now):
    broken, other = make_watched(now), make_watched(now)
    for monitor in (broken, other):
        tell(monitor, now, "+")
    spoil_secret(broken)
    new = make_monitor()
    spoil_secret(new)

    watching.watch(now=now + timedelta(hours=1))

    assert statuses(other)[-1] == statuses(broken)[-1] == "unknown"
    assert statuses(new) == ["pending"]


def test_a_state_that_cannot_be_changed_keeps_no_other_from_it(now):
    broken, other = make_watched(now), make_watched(now)
    for monitor in (broken, other):
        tell(monitor, now, "+")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "ALTER TABLE monitors_statusinterval ADD CONSTRAINT broken"
            f" CHECK (monitor_id <> {broken.pk} OR status <> 'unknown')"
        )

    with pytest.raises(RuntimeError, match=str(broken.pk)):
        watching.expire_stale(now=now + timedelta(hours=1))

    assert (statuses(other)[-1], statuses(broken)[-1]) == ("unknown", "up")


def test_blindness_is_told_where_another_service_has_the_name(now):
    make_service(name="Portal", slug="the-portal")

    watching.note_connectivity(
        location="main", blind_since=now.timestamp() - 60, now=now
    )

    assert Alert.objects.get().service.slug == "the-portal"


def test_a_slot_beyond_a_shortened_interval_comes_soon(now):
    monitor = make_watched(now)
    ProbeSlot.objects.update(next_slot_at=now + timedelta(hours=20))

    watching.watch(now=now)

    monitor.slot.refresh_from_db()
    assert now <= monitor.slot.next_slot_at <= now + MINUTE
