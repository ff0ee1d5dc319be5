"""Keeping house: what is past its time goes, the rest and the ledger stay."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from monitors.history import partitions, retention
from monitors.history.retention import keep_house
from monitors.models import (
    HeartbeatPing,
    HourlyRollup,
    ResultDetail,
    Series,
    StatusInterval,
)
from tests.factories import make_monitor

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def make_pings(monitor, now, count, *, is_handled=True):
    HeartbeatPing.objects.bulk_create(
        HeartbeatPing(
            monitor=monitor,
            at=now - timedelta(minutes=n),
            kind="success",
            is_handled=is_handled,
        )
        for n in range(count)
    )


def test_partitions_are_created_ahead_and_dropped_past_their_time(now, settings):
    settings.RESULT_RETENTION_DAYS = 5
    partitions.ensure_days(days=[(now - 7 * DAY).date()])

    kept = keep_house(now=now)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_regclass('monitors_checkresult_20260223'),"
            " to_regclass('monitors_checkresult_20260305')"
        )
        old, ahead = cursor.fetchone()
    assert old is None
    assert ahead is not None
    assert kept.partitions_dropped == 2


def test_words_of_failures_go_with_their_results(now, settings):
    monitor = make_monitor()
    for days in (29, 31):
        ResultDetail.objects.create(
            monitor=monitor, at=now - days * DAY, code=1, message=f"{days} days"
        )

    kept = keep_house(now=now)

    assert kept.details_deleted == 1
    assert ResultDetail.objects.get().message == "29 days"


def test_rollups_go_after_their_own_time(now):
    monitor = make_monitor()
    for days in (399, 401):
        HourlyRollup.objects.create(
            monitor=monitor,
            hour=(now - days * DAY),
            passed_count=1,
            failed_count=0,
            error_count=0,
        )

    kept = keep_house(now=now)

    assert kept.rollups_deleted == 1
    assert HourlyRollup.objects.count() == 1


def test_the_newest_hundred_pings_of_each_monitor_stay(now):
    chatty, quiet = (
        make_monitor(kind="heartbeat", target=""),
        make_monitor(kind="heartbeat", target=""),
    )
    make_pings(chatty, now, 250)
    make_pings(quiet, now - 300 * DAY, 3)

    kept = keep_house(now=now)

    assert kept.pings_deleted == 150
    assert chatty.pings.count() == 100
    assert chatty.pings.order_by("at")[0].at == now - timedelta(minutes=99)
    assert quiet.pings.count() == 3


def test_a_ping_that_nobody_has_handled_stays(now):
    make_pings(make_monitor(kind="heartbeat", target=""), now, 150, is_handled=False)

    assert keep_house(now=now).pings_deleted == 0


def test_large_amounts_go_in_batches(now, monkeypatch):
    monkeypatch.setattr(retention, "_AT_ONCE", 20)
    make_pings(make_monitor(kind="heartbeat", target=""), now, 165)

    assert keep_house(now=now).pings_deleted == 65


def test_series_without_samples_for_as_long_as_rollups_are_kept_go(now):
    for days in (399, 401):
        Series.objects.create(
            name=f"silent_{days}",
            source="test",
            created_at=now - 500 * DAY,
            last_at=now - days * DAY,
        )

    assert keep_house(now=now).series_deleted == 1
    assert Series.objects.get().name == "silent_399"


def test_the_ledger_is_kept_for_ever(now):
    StatusInterval.objects.create(
        monitor=make_monitor(),
        status="up",
        started_at=now - 4000 * DAY,
        ended_at=now - 3000 * DAY,
    )

    keep_house(now=now)

    assert StatusInterval.objects.exists()


def test_a_second_round_finds_nothing_to_do(now):
    keep_house(now=now)

    assert keep_house(now=now) == retention.Kept(
        partitions_created=0,
        partitions_dropped=0,
        rollups_deleted=0,
        details_deleted=0,
        pings_deleted=0,
        series_deleted=0,
    )


def test_a_step_that_fails_does_not_stop_the_others(now, monkeypatch):
    # Without placeholders for its values it never reaches the database.
    monkeypatch.setattr(retention, "_PRUNE_DETAILS", "DELETE FROM nowhere")
    make_pings(make_monitor(kind="heartbeat", target=""), now, 101)

    with pytest.raises(RuntimeError, match="details_deleted"):
        keep_house(now=now)

    assert HeartbeatPing.objects.count() == 100
