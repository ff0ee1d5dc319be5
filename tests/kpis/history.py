"""Boards of KPIs that have run for a while: made of rows, so that pages can be looked at."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from kpis import buckets, versions
from kpis.buckets import Bucket
from kpis.models import (
    DataSource,
    Kpi,
    KpiNote,
    KpiPoint,
    KpiRun,
    KpiState,
    KpiTarget,
    KpiVersion,
)

DAY = timedelta(days=1)
# By the number of the period, oldest 0, and a source of chance.
Curve = Callable[[int, random.Random], float]


def make_values(
    kpi: Kpi,
    *,
    now: datetime,
    length: timedelta,
    curve: Curve,
    gaps: Sequence[int] = (),
    with_running: bool = True,
    seed: int = 7,
) -> KpiVersion:
    """Fill the past of a KPI; `gaps`: periods from the end that stay unknown."""
    version = versions.current(kpi, now=now - length)
    shape = versions.shape_of(version)
    last = buckets.last_complete(shape, now, timedelta(seconds=kpi.lateness_s))
    cut = buckets.between(shape, now - length, last.end)
    chance = random.Random(f"{kpi.slug}{seed}")
    quantum = Decimal(1).scaleb(-kpi.decimals)

    def value(index: int) -> Decimal:
        return Decimal(repr(curve(index, chance))).quantize(quantum)

    rows = [
        _point(kpi, version, bucket, value(index), computed_at=bucket.end)
        for index, bucket in enumerate(cut)
        if len(cut) - 1 - index not in gaps
    ]
    if with_running:
        running = buckets.following(shape, last)
        passed = (now - running.start) / (running.end - running.start)
        share = 1 if kpi.window > 1 or kpi.unit in ("%", "s") else passed
        rows.append(
            _point(
                kpi,
                version,
                running,
                (value(len(cut)) * Decimal(repr(share))).quantize(quantum),
                computed_at=now - timedelta(minutes=7),
                is_complete=False,
                before_value=(rows[-1].value * Decimal(repr(share))).quantize(quantum),
            )
        )
    KpiPoint.objects.bulk_create(rows, batch_size=2000)
    return version


def make_state(kpi: Kpi, *, now: datetime, **values: Any) -> KpiState:
    """A KPI that was read some minutes ago, unless told otherwise."""
    values.setdefault("next_run_at", now + timedelta(minutes=53))
    values.setdefault("last_ok_at", now - timedelta(minutes=7))
    return KpiState.objects.create(kpi=kpi, **values)


def make_board(*, now: datetime, length: timedelta = 400 * DAY) -> dict[str, Kpi]:
    """A board as a company has it: most well, some not; by slug."""
    database = DataSource.objects.create(
        name="Backend database", kind="postgres", url="postgresql://kpi@db/backend"
    )
    portal = DataSource.objects.create(name="This portal", kind="portal")
    people = DataSource.objects.create(name="Finance", kind="manual")
    off = DataSource.objects.create(
        name="Billing", kind="http", url="https://billing.example", is_enabled=False
    )
    made: dict[str, Kpi] = {}

    def make(slug: str, name: str, source: DataSource, **values: Any) -> Kpi:
        kpi = Kpi.objects.create(
            slug=slug,
            name=name,
            source=source,
            position=10 * (len(made) + 1),
            **values,
        )
        made[slug] = kpi
        return kpi

    def aim(kpi: Kpi, value: float, months_back: int = 14, before: float = 0) -> None:
        month = now.date().replace(day=1)
        early = (month - timedelta(days=31 * months_back)).replace(day=1)
        KpiTarget.objects.create(kpi=kpi, month=early, value=before or value)
        if before:
            KpiTarget.objects.create(kpi=kpi, month=month, value=value)

    kpi = make(
        "active-users",
        "Active users",
        database,
        window=7,
        unit="users",
        description="People who did something in the app in the last 7 days: a session"
        " booked, a lesson opened, a token sent. Signing in alone doesn't count.",
    )
    make_values(kpi, now=now, length=length, curve=_growing(900, 1.1, 25))
    make_state(kpi, now=now)
    aim(kpi, 1400, before=1250)

    kpi = make("lightning", "Lightning transactions", database, unit="transactions")
    make_values(kpi, now=now, length=length, curve=_weekly(310, 0.35, 14))
    make_state(kpi, now=now)
    aim(kpi, 300)

    kpi = make("sessions", "Completed mentoring sessions", database, window=7)
    make_values(
        kpi, now=now - DAY, length=length, curve=_growing(84, 0.02, 5), gaps=(20, 21)
    )
    make_state(
        kpi,
        now=now,
        last_ok_at=now - 20 * timedelta(hours=1),
        failure_count=5,
        failing_since=now - timedelta(hours=3, minutes=20),
        last_reason="timeout",
        last_message="The database gave no answer within 10 s.",
    )

    kpi = make(
        "tokens",
        "Tokens distributed",
        database,
        unit="T4G",
        decimals=1,
        audience="executive",
    )
    make_values(kpi, now=now, length=length, curve=_weekly(18_400, 0.2, 900))
    make_state(kpi, now=now)

    kpi = make(
        "backend-uptime",
        "Backend uptime",
        portal,
        unit="%",
        decimals=2,
        audience="operations",
    )
    make_values(
        kpi,
        now=now,
        length=length,
        curve=lambda index, chance: min(100, 99.93 + chance.random() * 0.09),
    )
    make_state(kpi, now=now)
    aim(kpi, 99.9)

    kpi = make(
        "mtta",
        "Time to acknowledge",
        portal,
        unit="s",
        direction="lower",
        grain="week",
        audience="operations",
    )
    make_values(kpi, now=now, length=length, curve=_growing(260, -0.8, 60))
    make_state(kpi, now=now)
    aim(kpi, 300)

    kpi = make(
        "requests",
        "API requests",
        portal,
        direction="neutral",
        grain="hour",
        audience="operations",
    )
    make_values(kpi, now=now, length=min(length, 40 * DAY), curve=_daily(5200))
    make_state(kpi, now=now)

    kpi = make(
        "revenue",
        "Monthly revenue",
        people,
        unit="€",
        grain="month",
        audience="executive",
        lateness_s=5 * 86_400,
        stale_after_s=5 * 86_400,
        overdue_after_s=20 * 86_400,
    )
    make_values(
        kpi,
        now=now,
        length=max(length, 700 * DAY),
        curve=_growing(41_200, 900, 1800),
        with_running=False,
    )
    aim(kpi, 60_000)

    make("churn", "Customer churn", off, unit="%", decimals=1, direction="lower")
    make("nps", "Net promoter score", people, grain="month")

    kpi = made["active-users"]
    KpiNote.objects.create(
        kpi=kpi,
        at=now - 9 * DAY,
        text="Campaign with the universities began",
        author_name="Ana Ruiz",
        created_at=now - 9 * DAY,
    )
    KpiNote.objects.create(
        at=now - 2 * DAY,
        text="Public holiday in France",
        author_name="Bo Lind",
        created_at=now - 2 * DAY,
    )
    for index, outcome in enumerate(["ok", "ok", "failed", "ok", "unknown", "ok"]):
        at = now - timedelta(minutes=7) - index * timedelta(hours=1)
        KpiRun.objects.create(
            kpi=kpi,
            trigger="hand" if index == 3 else "schedule",
            user_name="Ana Ruiz" if index == 3 else "",
            started_at=at,
            finished_at=at + timedelta(milliseconds=84),
            outcome=outcome,
            reason="" if outcome == "ok" else "timeout",
            message="" if outcome == "ok" else "The database gave no answer.",
            point_count=3 if outcome == "ok" else 0,
            duration_ms=84 if outcome == "ok" else 10_004,
        )
    return made


def make_many(*, now: datetime, count: int, length: timedelta) -> list[Kpi]:
    """As many KPIs with a past as that; every tenth hourly, every seventh with a target."""
    source = DataSource.objects.create(name="Warehouse", kind="postgres")
    found = []
    for number in range(count):
        kpi = Kpi.objects.create(
            slug=f"kpi-{number}",
            name=f"Figure number {number}",
            source=source,
            grain="hour" if number % 10 == 9 else "day",
            window=7 if number % 3 == 0 else 1,
            position=number,
            unit="users",
        )
        make_values(kpi, now=now, length=length, curve=_weekly(100 + number, 0.3, 5))
        make_state(kpi, now=now)
        if number % 7 == 0:
            KpiTarget.objects.create(
                kpi=kpi, month=(now - length).date().replace(day=1), value=110
            )
        found.append(kpi)
    return found


def _point(
    kpi: Kpi, version: KpiVersion, bucket: Bucket, value: Decimal, **values: Any
) -> KpiPoint:
    values.setdefault("is_complete", True)
    return KpiPoint(
        kpi=kpi,
        version=version,
        start=bucket.start,
        end=bucket.end,
        value=value,
        **values,
    )


def _growing(start: float, step: float, noise: float) -> Curve:
    return lambda index, chance: max(
        start + step * index + chance.uniform(-noise, noise), 0
    )


def _weekly(level: float, dip: float, noise: float) -> Curve:
    """Weekends are quieter."""

    def curve(index: int, chance: random.Random) -> float:
        share = 1 - dip if index % 7 in (5, 6) else 1
        return max(level * share + chance.uniform(-noise, noise), 0)

    return curve


def _daily(level: float) -> Curve:
    return lambda index, chance: (
        level
        * (1 + 0.6 * math.sin(index / 24 * 2 * math.pi) + chance.uniform(-0.05, 0.05))
    )
