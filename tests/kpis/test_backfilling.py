"""Backfills: oldest first, resumed after a kill, cancelled, and never in the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from kpis import asking, backfilling, collecting, leasing, services
from kpis.models import Backfill, Kpi, KpiPoint, KpiRun
from kpis.reading import Reason
from kpis.services import UnableToAct
from tests.factories import make_user
from tests.kpis.backends import make_sql_kpi
from tests.kpis.making import make_kpi, make_source

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 4, 10, 9, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def start(kpi: Kpi, *, days: int = 30, now: datetime = NOW) -> Backfill:
    return services.start_backfill(
        kpi=kpi, since=now - timedelta(days=days), until=now, user=make_user(), now=now
    )


def advance(now: datetime = NOW) -> int:
    return backfilling.advance_here(now=now)


@pytest.fixture
def kpi(backend) -> Kpi:
    found = make_sql_kpi()
    collecting.collect_here(now=NOW)
    return found


def test_it_reads_each_period_up_to_the_present_one(kpi):
    backfill = start(kpi, days=30)

    assert advance() == 30

    backfill.refresh_from_db()
    assert (backfill.status, backfill.done_count, backfill.total_count) == (
        "done",
        30,
        30,
    )
    assert KpiPoint.objects.count() == 31
    assert KpiPoint.objects.filter(is_complete=True).count() == 30
    run = KpiRun.objects.get(trigger="backfill")
    assert (run.user, run.point_count) == (backfill.requested_by, 30)


def test_the_clock_change_lies_in_it_once(kpi):
    start(kpi, days=30)
    advance()

    [short] = [
        point
        for point in KpiPoint.objects.all()
        if point.end - point.start == timedelta(hours=23)
    ]
    assert short.start.astimezone(PARIS).date().isoformat() == "2026-03-29"


def test_it_goes_from_old_to_new(kpi, backend):
    backend.asked.clear()
    start(kpi)

    advance()

    assert backend.asked == sorted(backend.asked)


def test_killed_in_the_middle_it_goes_on_where_it_was(kpi, backend, monkeypatch):
    monkeypatch.setattr(backfilling, "BATCH", 10)
    backfill = start(kpi, days=30)
    backend.asked.clear()
    killed_at = NOW - timedelta(days=15)

    def kill(bucket):
        if bucket.end > killed_at:
            raise KeyboardInterrupt
        return 1

    backend.otherwise = kill
    with pytest.raises(KeyboardInterrupt):
        advance()
    backfill.refresh_from_db()
    assert (backfill.status, backfill.done_count) == ("running", 10)

    backend.otherwise = 2
    backend.asked.clear()
    # Its lease has ended by then; what was due in that time goes first.
    later = NOW + timedelta(hours=1)
    collecting.collect_here(now=later)
    assert advance(later) == 20

    backfill.refresh_from_db()
    assert (backfill.status, backfill.done_count) == ("done", 30)
    assert KpiPoint.objects.filter(is_complete=True).count() == 30


def test_what_is_due_goes_first(kpi):
    backfill = start(kpi)
    collecting.wake(kpi_ids=[kpi.pk], now=NOW)

    assert advance() == 0

    collecting.collect_here(now=NOW)
    assert advance() == 30
    backfill.refresh_from_db()
    assert backfill.status == "done"


def test_a_cancelled_one_stops_and_keeps_what_it_read(kpi, backend, monkeypatch):
    monkeypatch.setattr(backfilling, "BATCH", 10)
    backfill = start(kpi)

    def cancel(bucket):
        services.cancel_backfill(backfill=backfill, now=NOW)
        return 1

    backend.otherwise = cancel
    advance()

    backfill.refresh_from_db()
    assert (backfill.status, backfill.done_count) == ("cancelled", 10)
    assert backfill.finished_at == NOW
    assert not services.cancel_backfill(backfill=backfill, now=NOW)
    assert advance(NOW + timedelta(minutes=1)) == 0


def test_a_source_that_is_away_is_waited_for_then_named(kpi, backend, monkeypatch):
    monkeypatch.setattr(backfilling, "MAX_TRIES", 3)
    backfill = start(kpi)
    backend.otherwise = Reason.CONNECTION

    for _each in range(2):
        advance()
    backfill.refresh_from_db()
    assert (backfill.status, backfill.message) == ("running", "It said connection")

    backend.otherwise = 1
    advance()
    backfill.refresh_from_db()
    assert (backfill.status, backfill.message) == ("done", "")


def test_what_no_try_mends_ends_it(kpi, backend):
    backfill = start(kpi)
    backend.otherwise = Reason.REFUSED_SQL

    advance()

    backfill.refresh_from_db()
    assert (backfill.status, backfill.message) == ("failed", "It said refused_sql")
    assert backfill.done_count == 0


def test_a_period_without_value_is_left_out(kpi, backend):
    backfill = start(kpi, days=10)
    KpiPoint.objects.all().delete()
    backend.otherwise = lambda bucket: Reason.NULL if bucket.start.day % 2 else 3

    advance()

    backfill.refresh_from_db()
    assert (backfill.status, backfill.done_count) == ("done", 10)
    assert KpiPoint.objects.count() == 5


def test_a_period_that_is_no_number_hides_no_silence_after_it(kpi, backend):
    silent_since = NOW - timedelta(days=20)
    backend.otherwise = lambda bucket: (
        Reason.TIMEOUT
        if bucket.start > silent_since
        else Reason.NOT_A_NUMBER
        if bucket.start < NOW - timedelta(days=28)
        else 7
    )
    backfill = start(kpi)

    advance()

    backfill.refresh_from_db()
    assert backfill.is_active
    assert silent_since < backfill.next_start < silent_since + timedelta(days=1)
    backend.otherwise = 7
    advance()
    assert KpiPoint.objects.filter(is_complete=True).count() == 27


def test_a_mistake_of_ours_ends_it_after_a_while(kpi, backend, monkeypatch, caplog):
    def stumble(**_):
        raise RuntimeError("our own mistake")

    monkeypatch.setattr(asking, "question_for", stumble)
    backfill = start(kpi)

    for _ in range(backfilling.MAX_TRIES):
        advance()

    backfill.refresh_from_db()
    assert backfill.status == "failed"
    assert "its log says" in backfill.message
    assert "our own mistake" in caplog.text


def test_another_calculation_ends_it(kpi):
    backfill = start(kpi)
    Kpi.objects.update(sql="SELECT 2")

    advance()

    backfill.refresh_from_db()
    assert backfill.status == "failed"
    assert "another way" in backfill.message


def test_reading_again_replaces_and_doubles_nothing(kpi, backend):
    start(kpi)
    advance()
    backend.otherwise = 9
    start(kpi)
    later = NOW + timedelta(minutes=1)

    # What is due by then goes first.
    collecting.collect_here(now=later)
    advance(later)

    done = KpiPoint.objects.filter(is_complete=True)
    assert set(done.values_list("value", flat=True)) == {9}
    assert done.count() == 30


def test_one_at_a_time(kpi):
    start(kpi)

    with pytest.raises(UnableToAct, match="already"):
        start(kpi)


def test_a_source_that_is_read_already_is_left_alone(kpi):
    start(kpi)
    assert leasing.take(source_id=kpi.source_id, now=NOW)

    assert advance() == 0


@pytest.mark.parametrize("kind", ["http", "manual"])
def test_a_source_of_the_present_has_no_past(backend, kind):
    kpi = make_kpi(source=make_source(kind=kind))

    with pytest.raises(UnableToAct, match="only the present"):
        start(kpi)


@pytest.mark.parametrize(
    ("days", "why"),
    [(0, "no whole period"), (30, "more than 10"), (400_000, "too long ago")],
)
def test_a_stretch_without_a_period_or_with_too_many_is_refused(
    kpi, days, why, monkeypatch
):
    monkeypatch.setattr(services, "MAX_BACKFILL", 10)
    with pytest.raises(UnableToAct, match=why):
        services.start_backfill(
            kpi=kpi,
            since=max(NOW - timedelta(days=days), datetime(1, 1, 2, tzinfo=UTC)),
            until=NOW,
            user=make_user(),
            now=NOW,
        )
