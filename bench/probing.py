"""CPU, lateness, memory and bytes a check, of a whole portal at a steady rate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figures import Figure
from bench.portal import (
    Portal,
    Target,
    add_monitors,
    running_portal,
    running_target,
    start,
    wait_for_results,
    workplace,
)
from bench.processes import resident_mb

# Seconds of a start after its slot on the grid, over the last `since` results.
_LATENESS = """
WITH grid AS (
    SELECT extract(epoch FROM r.at)::float8 AS at, m.interval_s::float8 AS every,
           ((m.id * 2654435761) %% 4294967296) / 4294967296.0::float8 AS phase
      FROM monitors_checkresult r JOIN monitors_monitor m ON m.id = r.monitor_id
     WHERE r.at > to_timestamp(%s) AND m.target NOT LIKE %s
), late AS (
    SELECT at - (floor(at / every - phase + 1e-6) + phase) * every AS s FROM grid
)
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY s),
       percentile_cont(0.99) WITHIN GROUP (ORDER BY s), max(s), count(*) FROM late
"""


def count_since(portal: Portal, since: float) -> int:
    with portal.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM monitors_checkresult WHERE at > to_timestamp(%s)",
            [since],
        ).fetchone()
    assert row is not None
    return int(row[0])


def lateness_ms(portal: Portal, since: float, without: str = "") -> tuple[float, ...]:
    """p50, p99 and max lateness in ms of the starts since then."""
    with portal.connect() as connection:
        row = connection.execute(_LATENESS, [since, without or "-"]).fetchone()
    assert row is not None
    return tuple(float(value) * 1000 for value in row[:3])


def cost(portal: Portal, seconds: float) -> tuple[float, float, float]:
    """CPU ms a check (all processes, PostgreSQL alone) and checks a second."""
    before, began = portal.usage(), time.time()
    time.sleep(seconds)
    used, took = portal.usage() - before, time.time() - began
    checks = count_since(portal, began)
    return (
        used.total_s * 1000 / checks,
        used.postgres_s * 1000 / checks,
        checks / took,
    )


@contextmanager
def watched(
    *, count: int, interval_s: int, is_https: bool = False
) -> Iterator[tuple[Path, Portal, Target]]:
    """A portal that watches `count` monitors of the local target, warmed up."""
    with (
        workplace() as directory,
        running_target(directory) as target,
        running_portal(directory, SSL_CERT_FILE=str(target.authority)) as portal,
    ):
        url = f"http://127.0.0.1:{target.http}/health"
        if is_https:
            url = f"https://127.0.0.1:{target.https}/health"
        add_monitors(portal, count=count, target=url, interval_s=interval_s)
        wait_for_results(portal, count=count, timeout_s=180)
        time.sleep(interval_s)
        yield directory, portal, target


def http_100() -> list[Figure]:
    """2,000 HTTP monitors every 20 s."""
    with watched(count=2000, interval_s=20) as (directory, portal, target):
        began = time.time()
        every_ms, postgres_ms, rate = cost(portal, 60)
        _, p99, _ = lateness_ms(portal, began)
        memory = resident_mb(portal.process.pid)
        figures = [
            Figure("http 100/s: CPU a check", every_ms, "ms", 1.7, 0.9),
            Figure("http 100/s: of it PostgreSQL", postgres_ms, "ms"),
            Figure("http 100/s: rate", rate, "checks/s"),
            Figure("http 100/s: start after slot, p99", p99, "ms", 100),
            Figure("memory at 2,000 monitors", sum(memory.values()), "MB", 400),
            _bytes_a_check(portal),
        ]
        for name, size in memory.items():
            print(f"  {size:6.1f} MB  {name}")
        add_hanging(portal, target)
        time.sleep(25)
        began = time.time()
        time.sleep(40)
        _, p99, _ = lateness_ms(portal, began, without=f"%{target.hang}%")
        figures.append(
            Figure("http 100/s, 10 % hanging: start after slot, p99", p99, "ms", 250)
        )
        figures.append(_cold_start(directory, portal))
        return figures


def add_hanging(portal: Portal, target: Target) -> None:
    """Let every tenth monitor ask the port that never answers."""
    with portal.connect() as connection:
        connection.execute(
            "UPDATE monitors_monitor SET target = %s, timeout_s = 8 WHERE id %% 10 = 0",
            [f"http://127.0.0.1:{target.hang}/"],
        )


def _bytes_a_check(portal: Portal) -> Figure:
    with portal.connect() as connection:
        row = connection.execute(
            """
            SELECT sum(pg_total_relation_size(inhrelid)),
                   (SELECT count(*) FROM monitors_checkresult)
              FROM pg_inherits WHERE inhparent = 'monitors_checkresult'::regclass
               AND pg_relation_size(inhrelid) > 0
            """
        ).fetchone()
    assert row is not None
    return Figure("bytes stored a check", float(row[0]) / row[1], "bytes", 110, 60)


def _cold_start(directory: Path, portal: Portal) -> Figure:
    """Stop and start again: seconds until each monitor was asked since the start."""
    with portal.connect() as connection:
        # A target that hangs can't be called checked before its timeout.
        connection.execute(
            "UPDATE monitors_monitor SET target = (SELECT target FROM monitors_monitor"
            " WHERE id % 10 = 1 LIMIT 1), timeout_s = 10"
        )
    portal.stop()
    with start(directory) as again:
        began = time.time()
        with again.connect() as connection:
            while time.time() - began < 120:
                row = connection.execute(
                    "SELECT count(DISTINCT monitor_id), (SELECT count(*) FROM"
                    " monitors_monitor WHERE is_enabled) FROM monitors_checkresult"
                    " WHERE at > to_timestamp(%s)",
                    [began],
                ).fetchone()
                if row and row[0] >= row[1]:
                    break
                time.sleep(0.25)
        return Figure(
            "cold start: all 2,000 checked after", time.time() - began, "s", 20
        )


def https_50() -> list[Figure]:
    """1,000 verified HTTPS monitors every 20 s."""
    with watched(count=1000, interval_s=20, is_https=True) as (_, portal, _target):
        every_ms, postgres_ms, rate = cost(portal, 60)
        return [
            Figure("https 50/s: CPU a check", every_ms, "ms", 2.9, 1.8),
            Figure("https 50/s: of it PostgreSQL", postgres_ms, "ms"),
            Figure("https 50/s: rate", rate, "checks/s"),
        ]


def saturated() -> list[Figure]:
    """As many as it takes: 1,200 HTTP a second, then 500 HTTPS a second."""
    figures = []
    for name, is_https, count, bound, goal in (
        ("http", False, 1200, 1.0, 0.7),
        ("https", True, 450, 2.0, 1.5),
    ):
        with watched(count=count, interval_s=1, is_https=is_https) as (_, portal, _t):
            every_ms, _postgres_ms, rate = cost(portal, 30)
            figures += [
                Figure(f"{name} saturated: CPU a check", every_ms, "ms", bound, goal),
                Figure(f"{name} saturated: rate", rate, "checks/s"),
            ]
    return figures


def sustained(minutes: float = 10) -> list[Figure]:
    """1,050 HTTP checks a second for ten minutes; is the backlog flat?"""
    with watched(count=1050, interval_s=1) as (_, portal, _target):
        rates = []
        for _ in range(int(minutes * 2)):
            began = time.time()
            time.sleep(30)
            rates.append(count_since(portal, began) / 30)
            print(f"  {rates[-1]:.0f} checks/s", flush=True)
        half = len(rates) // 2
        return [
            Figure(
                "sustained rate, lowest 30 s", min(rates), "checks/s", 1000, None, True
            ),
            # A backlog that grew would show as fewer checks recorded.
            Figure("sustained rate, first half", sum(rates[:half]) / half, "checks/s"),
            Figure("sustained rate, second half", sum(rates[half:]) / half, "checks/s"),
        ]


def idle() -> list[Figure]:
    """The seeded portal with nobody looking, as part of one core."""
    with workplace() as directory, start(directory) as portal:
        time.sleep(30)
        before = portal.usage()
        time.sleep(60)
        used = portal.usage() - before
        return [
            Figure("idle: CPU of one core", used.total_s / 60 * 100, "%", 3),
            Figure("idle: of it PostgreSQL", used.postgres_s / 60 * 100, "%"),
        ]
