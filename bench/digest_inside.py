"""Sends digests of 200 KPIs with two years of values. Prints JSON.

Run by `bench.digest` on a database of its own: `python -m bench.digest_inside`.
"""

from __future__ import annotations

import json
import logging
import statistics
import time
from datetime import time as time_of_day
from datetime import timedelta

_KPIS = 200
_DAYS = 730
_ROUNDS = 5
_FILL = """
INSERT INTO kpis_kpipoint
       (kpi_id, version_id, start, "end", value, is_complete, computed_at)
SELECT v.kpi_id, v.id, day AT TIME ZONE 'Europe/Paris',
       (day + interval '1 day') AT TIME ZONE 'Europe/Paris',
       1000 + 100 * sin(extract(doy FROM day)) + v.id, true, %s
  FROM kpis_kpiversion v
 CROSS JOIN generate_series(%s::timestamp, %s::timestamp, interval '1 day') day
"""


def main() -> None:
    import django

    django.setup()
    from django.db import connection
    from django.utils import timezone

    from kpis import versions
    from kpis.digest.sending import send_due
    from kpis.digest.timing import Timing, following
    from kpis.models import DataSource, DigestPlan, DigestState, Kpi, KpiState
    from notifications.models import Channel, Notification

    logging.disable(logging.WARNING)
    # Every cadence is due on one morning, on which all values are of the day before.
    now = timezone.now()
    morning = following(Timing("monthly", time_of_day(9), day=12), now).due_at
    source = DataSource.objects.create(name="Bench", kind="postgres")
    for number in range(_KPIS):
        kpi = Kpi.objects.create(
            slug=f"bench-{number}",
            name=f"Figure {number}",
            unit="users",
            source=source,
        )
        kpi.targets.create(month=now.date().replace(day=1), value=1100)
        versions.current(kpi, now=now)
        # Every tenth can't be read.
        is_failing = number % 10 == 0
        KpiState.objects.create(
            kpi=kpi,
            next_run_at=now,
            last_ok_at=morning,
            failure_count=3 * is_failing,
            failing_since=now if is_failing else None,
            last_reason="timeout" if is_failing else "",
            last_message="No answer within 10 s." if is_failing else "",
        )
    today = timezone.localtime(morning).date()
    with connection.cursor() as cursor:
        days = (today - timedelta(days=_DAYS), today - timedelta(days=1))
        cursor.execute(_FILL, [morning, *days])
        cursor.execute("ANALYZE")
    channels = [
        Channel.objects.create(
            name=f"Channel {number}",
            kind="email",
            address=f"c{number}@example.org",
            language=language,
            is_enabled=True,
        )
        for number, language in enumerate(("fr", "en", "fr", "en"))
    ]
    found = {}
    for cadence in ("daily", "weekly", "monthly"):
        plan = DigestPlan.objects.create(
            name=cadence, cadence=cadence, weekday=today.weekday(), day=today.day
        )
        plan.channels.set(channels)
        send_due(now=morning - timedelta(seconds=1))
        took = []
        for _each in range(_ROUNDS):
            began = time.perf_counter()
            count = send_due(now=morning)
            took.append((time.perf_counter() - began) * 1000)
            assert count == len(channels), count
            Notification.objects.all().delete()
            plan.deliveries.all().delete()
            DigestState.objects.filter(plan=plan).update(next_at=morning)
        plan.delete()
        found[cadence] = {"p50": statistics.median(took), "max": max(took)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
