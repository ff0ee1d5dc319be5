"""The past of KPIs from a local PostgreSQL: how many periods a second are read."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

from bench.figures import Figure
from bench.portal import Portal, manage, running_portal, workplace
from tests.kpis.business import GUIDE, READER_PASSWORD, TABLES, Business, make_business
from tests.monitors.conftest import running_postgres

_DAYS = 2 * 365
_BOUND_PER_S = 100
_ROWS = 200_000

_PREPARE = """
import json
from datetime import timedelta
from django.utils import timezone
from kpis import services
from kpis.models import DataSource, Kpi
from django.contrib.auth.models import User
values = json.loads({values!r})
user = User.objects.create_superuser(username="bench")
source = DataSource(name="Bench", kind="postgres", url=values["url"],
    allowed_tables=values["tables"], may_use_private_targets=True)
source.secret = values["secret"]
source.save()
now = timezone.now()
for name, sql, grain, window in values["kpis"]:
    kpi = Kpi.objects.create(slug=name, name=name, source=source, sql=sql,
        grain=grain, window=window)
    services.start_backfill(kpi=kpi, since=now - timedelta(days=values["days"]),
        until=now, user=user, now=now)
"""
_LEFT = """
SELECT coalesce(sum(total_count), 0)::int, coalesce(sum(done_count), 0)::int,
       count(*) FILTER (WHERE status IN ('queued', 'running')),
       count(*) FILTER (WHERE status IN ('failed', 'cancelled')),
       extract(epoch FROM max(finished_at) - min(r.first))::float8
  FROM kpis_backfill
 CROSS JOIN (SELECT min(started_at) AS first FROM kpis_kpirun
              WHERE trigger = 'backfill') r
"""


def kpi_backfill() -> list[Figure]:
    """Two years of a figure by the day and by the hour, in a portal as users start it."""
    with running_postgres() as server, workplace() as directory:
        business = make_business(
            port=server.port, owner=server.user, owner_password=server.password
        )
        _fill(business)
        with running_portal(directory, EGRESS_ALLOWED_NETWORKS="127.0.0.0/8") as portal:
            return _measure(portal, business)


def _fill(business: Business) -> None:
    """Two years of activity, with the index that such a table has."""
    business.run(
        "INSERT INTO user_activities SELECT random() * 5000, now() - random() *"
        f" interval '{_DAYS + 7} days' FROM generate_series(1, {_ROWS})"
    )
    business.run("CREATE INDEX ON user_activities (created_at)")
    business.run("VACUUM ANALYZE user_activities")


def _measure(portal: Portal, business: Business) -> list[Figure]:
    values = {
        "url": business.url,
        "secret": READER_PASSWORD,
        "tables": TABLES,
        "days": _DAYS,
        "kpis": [
            ("bench-day", GUIDE["active-users"], "day", 7),
            ("bench-hour", GUIDE["active-users"], "hour", 1),
        ],
    }
    manage(
        portal,
        *("shell", "-c"),
        _PREPARE.format(values=json.dumps(values)),
        EGRESS_ALLOWED_NETWORKS="127.0.0.0/8",
    )
    deadline = datetime.now(UTC) + timedelta(minutes=10)
    with portal.connect() as connection:
        while True:
            total, done, active, lost, took_s = connection.execute(_LEFT).fetchone()  # type: ignore[misc]
            if not active:
                break
            if datetime.now(UTC) > deadline:
                raise SystemExit(f"{done} of {total} after ten minutes")
            time.sleep(1)
    if lost:
        raise SystemExit(f"{lost} backfills were not done")
    return [
        Figure(
            "KPI backfill, a portal at work",
            done / took_s,
            "/s",
            _BOUND_PER_S,
            is_rate=True,
        ),
        Figure("KPI backfill: periods", done, "periods"),
    ]
