from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from incidents.models import Alert, Incident
from monitors import recording, watching
from monitors.engine import Finding
from monitors.history import partitions
from monitors.models import (
    CheckResult,
    Monitor,
    MonitorState,
    ResultDetail,
    StatusInterval,
    Threshold,
)
from monitors.probes.base import Outcome, Phases, ProbeResult, Reason
from tests.factories import make_monitor, make_priority_rules, make_service

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def rows(db, now):
    partitions.ensure(now=now)
    make_priority_rules()
    Threshold.objects.create(name="Down", measure="down", critical_priority="p0")


def make_watched(now, **values) -> Monitor:
    monitor = make_monitor(interval_s=60, retry_interval_s=20, **values)
    watching.admit_new(now=now)
    return monitor


def passed(monitor, moment, **values) -> Finding:
    result = ProbeResult(
        outcome=Outcome.PASSED,
        reason=0,
        message="",
        phases=Phases(connect_ms=1.5, first_byte_ms=20.0, transfer_ms=0.5),
        status_code=200,
        **values,
    )
    return Finding(monitor_id=monitor.pk, at=moment.timestamp(), result=result)


def failed(monitor, moment, reason=503, message="HTTP 503, expected 200–299"):
    result = ProbeResult(
        outcome=Outcome.FAILED,
        reason=reason,
        message=message,
        phases=Phases(connect_ms=1.5, first_byte_ms=4.0),
        excerpt="overloaded",
    )
    return Finding(monitor_id=monitor.pk, at=moment.timestamp(), result=result)


def offline(monitor, moment) -> Finding:
    result = ProbeResult(
        outcome=Outcome.ERROR, reason=Reason.OFFLINE, message="", phases=Phases()
    )
    return Finding(monitor_id=monitor.pk, at=moment.timestamp(), result=result)


def tell(monitor, now, story, *, step_s=20):
    """Record a story of results, a letter each `step_s`, each in its own batch."""
    make: dict[str, Callable[..., Finding]] = {
        "+": passed,
        "-": failed,
        "?": offline,
    }
    for number, letter in enumerate(story, start=1):
        moment = now + timedelta(seconds=number * step_s)
        recording.record(findings=[make[letter](monitor, moment)], now=moment)


def ledger(monitor):
    rows = StatusInterval.objects.filter(monitor=monitor).order_by("started_at")
    return [(row.status, row.started_at, row.ended_at) for row in rows]


def test_a_first_success_is_up_and_stored(now):
    monitor = make_watched(now)

    tell(monitor, now, "+")

    state = MonitorState.objects.get(monitor=monitor)
    assert state.status == "up"
    assert state.last_latency_ms == 22.0
    assert CheckResult.objects.get().code == 0


def test_third_failure_is_down_since_the_first(now):
    monitor = make_watched(now)

    tell(monitor, now, "+---")

    first_failure = now + timedelta(seconds=40)
    state = MonitorState.objects.get(monitor=monitor)
    assert (state.status, state.since) == ("down", first_failure)
    assert state.message == "HTTP 503, expected 200–299"
    assert ledger(monitor)[-2:] == [
        ("up", now + timedelta(seconds=20), first_failure),
        ("down", first_failure, None),
    ]


def test_down_opens_one_incident_that_began_with_the_first_failure(now):
    monitor = make_watched(now)

    tell(monitor, now, "+-----")

    incident = Incident.objects.get()
    assert incident.started_at == now + timedelta(seconds=40)
    assert incident.priority == "p0"
    assert incident.service == monitor.service


def test_recovery_resolves_alert_and_incident(now):
    monitor = make_watched(now)

    tell(monitor, now, "+---++")

    assert Alert.objects.get().status == "resolved"
    assert Incident.objects.get().status == "resolved"
    assert MonitorState.objects.get(monitor=monitor).status == "up"


def test_without_a_threshold_nobody_is_told(now):
    Threshold.objects.all().delete()
    monitor = make_watched(now)

    tell(monitor, now, "---")

    assert MonitorState.objects.get(monitor=monitor).status == "down"
    assert not Incident.objects.exists()


def test_being_offline_ourselves_is_never_down(now):
    monitor = make_watched(now)

    tell(monitor, now, "+" + "?" * 20)

    assert MonitorState.objects.get(monitor=monitor).confirmed == "up"
    assert not Alert.objects.exists()


def test_time_in_which_we_were_offline_becomes_unknown(now):
    monitor = make_watched(now)
    tell(monitor, now, "+" + "?" * 20)

    watching.expire_stale(now=now + timedelta(seconds=420))
    recording.record(
        findings=[passed(monitor, now + timedelta(seconds=440))],
        now=now + timedelta(seconds=440),
    )
    recording.record(
        findings=[passed(monitor, now + timedelta(seconds=460))],
        now=now + timedelta(seconds=460),
    )

    assert ledger(monitor)[1:] == [
        ("up", now + timedelta(seconds=20), now + timedelta(seconds=80)),
        ("unknown", now + timedelta(seconds=80), now + timedelta(seconds=440)),
        ("up", now + timedelta(seconds=440), None),
    ]


def test_an_outage_goes_on_through_a_gap_without_a_second_alert(now):
    monitor = make_watched(now)
    tell(monitor, now, "+---")
    later = now + timedelta(hours=1)

    watching.expire_stale(now=later)
    tell(monitor, later, "---")

    assert [status for status, *_ in ledger(monitor)] == [
        "pending",
        "up",
        "down",
        "unknown",
        "down",
    ]
    assert Alert.objects.count() == 1
    assert Incident.objects.get().status == "triggered"


def test_recording_a_batch_twice_changes_nothing(now):
    monitor = make_watched(now)
    tell(monitor, now, "+")
    batch = [passed(monitor, now + timedelta(seconds=80))]

    first = recording.record(findings=batch, now=now)
    second = recording.record(findings=batch, now=now)

    assert (first.steady_count, second.steady_count) == (1, 0)
    assert second.ignored_count == 1
    assert CheckResult.objects.count() == 2


def test_still_up_costs_the_same_for_any_number(now, django_assert_num_queries):
    service = make_service()
    monitors = [make_watched(now, service=service) for _ in range(30)]
    for seconds in (20, 80):
        batch = [passed(m, now + timedelta(seconds=seconds)) for m in monitors]
        recording.record(findings=batch, now=now)
    batch = [passed(m, now + timedelta(seconds=140)) for m in monitors]

    # Savepoint, lock, COPY, update, release.
    with django_assert_num_queries(5):
        recorded = recording.record(findings=batch, now=now)

    assert recorded.steady_count == 30


def test_words_of_a_lasting_failure_are_kept_once(now):
    monitor = make_watched(now)

    tell(monitor, now, "+-----")

    detail = ResultDetail.objects.get()
    assert detail.message == "HTTP 503, expected 200–299"
    assert detail.excerpt == "overloaded"


def test_words_that_change_are_kept_again(now):
    monitor = make_watched(now)
    tell(monitor, now, "+-")

    recording.record(
        findings=[
            failed(monitor, now + timedelta(seconds=60), reason=1, message="No answer")
        ],
        now=now,
    )

    assert ResultDetail.objects.count() == 2


def test_a_result_of_a_switched_off_monitor_is_let_go(now):
    monitor = make_watched(now)
    Monitor.objects.filter(pk=monitor.pk).update(is_enabled=False)

    tell(monitor, now, "---")

    assert not CheckResult.objects.exists()
    assert not Alert.objects.exists()


def test_a_result_of_a_deleted_monitor_is_let_go(now):
    monitor = make_watched(now)
    finding = passed(monitor, now + timedelta(seconds=20))
    monitor.delete()

    assert recording.record(findings=[finding], now=now).ignored_count == 1


def test_an_unconfirmed_failure_is_asked_again_soon(now):
    monitor = make_watched(now)
    tell(monitor, now, "+")
    monitor.slot.refresh_from_db()
    monitor.slot.next_slot_at = now + timedelta(hours=1)
    monitor.slot.save()

    recording.record(findings=[failed(monitor, now + timedelta(seconds=40))], now=now)

    monitor.slot.refresh_from_db()
    assert monitor.slot.next_slot_at == now + timedelta(seconds=60)


def test_a_storage_error_leaves_nothing_half_done(now):
    monitor = make_watched(now)
    tell(monitor, now, "+--")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE monitors_checkresult RENAME TO away")

    # The COPY comes at the very end.
    with pytest.raises(DatabaseError), transaction.atomic():
        recording.record(findings=[failed(monitor, now + MINUTE * 3)], now=now)
    connection.check_constraints()

    assert MonitorState.objects.get(monitor=monitor).failure_count == 2
    assert not Alert.objects.exists()


def test_a_result_that_cannot_be_stored_holds_up_no_other(now):
    before, poisoned, after = (make_watched(now) for _ in range(3))
    for monitor in (before, poisoned, after):
        tell(monitor, now, "+")
    moment = now + MINUTE
    findings = [
        failed(before, moment),
        # PostgreSQL stores no NUL.
        failed(poisoned, moment, message="\x00"),
        failed(after, moment),
    ]

    recorded = recording.record(findings=findings, now=moment)

    assert (recorded.changed_count, recorded.ignored_count) == (2, 1)
    counts = dict(MonitorState.objects.values_list("monitor_id", "failure_count"))
    assert counts == {before.pk: 1, poisoned.pk: 0, after.pk: 1}


def test_a_result_from_a_day_without_a_partition_is_let_go(now):
    monitor = make_watched(now)
    tell(monitor, now, "+--")
    far = now + timedelta(days=4000)

    recorded = recording.record(findings=[failed(monitor, far)], now=now)

    assert recorded.ignored_count == 1
    assert MonitorState.objects.get(monitor=monitor).failure_count == 2


def test_a_secret_that_cannot_be_read_holds_up_no_result(now):
    broken, other = make_watched(now), make_watched(now)
    spoil_secret(broken)

    recorded = recording.record(
        findings=[passed(broken, now + MINUTE), passed(other, now + MINUTE)],
        now=now + MINUTE,
    )

    assert recorded.changed_count == 2


def test_results_of_before_a_resume_was_noticed_do_not_count(now):
    monitor = make_watched(now)
    tell(monitor, now, "+--")
    Monitor.objects.update(is_enabled=False)
    watching.pause_and_resume(now=now + MINUTE * 2)
    Monitor.objects.update(is_enabled=True)

    recording.record(findings=[failed(monitor, now + MINUTE * 60)], now=now)

    assert MonitorState.objects.get().status == "paused"
    assert not Alert.objects.exists()


def test_a_target_without_tls_has_no_certificate_any_more(now):
    monitor = make_watched(now)
    tell(monitor, now, "+")
    MonitorState.objects.update(
        certificate={"subject": "a"}, certificate_expires_at=now + MINUTE
    )

    recording.record(findings=[passed(monitor, now + MINUTE)], now=now + MINUTE)

    state = MonitorState.objects.get()
    assert (state.certificate, state.certificate_expires_at) == (None, None)


def test_nothing_degrades_where_nobody_looked(now):
    monitor = make_watched(now)
    tell(monitor, now, "+")
    later = now + timedelta(hours=1)

    recording.set_degraded(
        monitor_id=monitor.pk, is_degraded=True, since=later, message="", now=later
    )
    watching.expire_stale(now=later)

    assert [row[0] for row in ledger(monitor)] == ["pending", "up", "unknown"]
    assert ledger(monitor)[-1][1] < now + 2 * MINUTE


def spoil_secret(monitor) -> None:
    """As if its key had been lost."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE monitors_monitor SET secret = 'v1:gone:AAAA' WHERE id = %s",
            [monitor.pk],
        )


def test_a_storm_is_one_incident_a_service(now):
    service = make_service()
    monitors = [make_watched(now, service=service) for _ in range(60)]
    for seconds in (20, 40, 60):
        recording.record(
            findings=[failed(m, now + timedelta(seconds=seconds)) for m in monitors],
            now=now + timedelta(seconds=seconds),
        )

    assert Incident.objects.count() == 1
    assert Alert.objects.filter(status="firing").count() == 60


def test_a_degraded_monitor_counts_as_degraded_until_it_is_not(now):
    monitor = make_watched(now)
    tell(monitor, now, "+")
    slow_since, fast_since = now + MINUTE / 2, now + MINUTE * 1.5

    recording.set_degraded(
        monitor_id=monitor.pk,
        is_degraded=True,
        since=slow_since,
        message="latency 2.4 s",
        now=now + MINUTE,
    )
    recording.set_degraded(
        monitor_id=monitor.pk,
        is_degraded=False,
        since=fast_since,
        message="",
        now=now + MINUTE * 2,
    )

    assert ledger(monitor)[-2:] == [
        ("degraded", slow_since, fast_since),
        ("up", fast_since, None),
    ]
