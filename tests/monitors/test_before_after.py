"""Results before a moment and after another: what is read for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monitors.history import partitions
from monitors.queries.before_after import Side, Stretch, before_and_after
from tests.factories import make_monitor, make_service
from tests.history import make_results

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 27, 20, 0, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def stretch(service, at):
    half = 30 * MINUTE
    return Stretch(service.pk, at - half, at, at + 5 * MINUTE, at + 5 * MINUTE + half)


def test_days_between_two_deployments_are_not_read():
    old, new = make_service(), make_service()
    monitor = make_monitor(service=new)
    make_results(monitor=monitor, now=NOW, base_ms=50, reach=timedelta(hours=3))
    partitions.ensure_days(days={(NOW - n * DAY).date() for n in range(4)})
    asked = [stretch(old, NOW - 3 * DAY), stretch(new, NOW - 120 * MINUTE)]

    with CaptureQueriesContext(
        connection,
    ) as captured:
        first, second = before_and_after(asked)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {captured[0]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert (len(captured), first) == (1, [])
    assert [(one.monitor_id, one.before.count, one.after.count) for one in second] == [
        (monitor.pk, 30, 30)
    ]
    assert second[0].before != Side()
    assert "monitors_checkresult_20261124" in plan
    assert "monitors_checkresult_20261127" in plan
    assert "monitors_checkresult_20261125" not in plan
    assert "monitors_checkresult_20261126" not in plan
