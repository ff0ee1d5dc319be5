"""Processes are killed in the middle of work: the next tick goes on, nothing doubles."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

from bench.portal import Portal, add_monitors, start
from bench.processes import tree
from tests.flows.portals import (
    ENVIRONMENT,
    import_config,
    prepared_workplace,
    rows,
    until,
)
from tests.flows.standins import Inbox, Shop

CONFIG = """
services:
  - {slug: shop, name: Shop}
channels:
  - {name: Slack, kind: slack, secret_env: STORY_SLACK, is_enabled: true}
escalation_policies:
  - {name: Everybody, steps: [{channels: [Slack]}]}
priority_rules:
  - {priority: p0, response_s: 300, policy: Everybody}
thresholds:
  - {name: Down, measure: down, critical_priority: p0}
"""
COUNT = 200
# What is committed must outlive a kill, so PostgreSQL waits for its disk here.
DURABLE = {**ENVIRONMENT, "PORTAL_DB_FAST": "0"}
INTERVAL_S = 4


def processes(portal: Portal, part: str) -> list[int]:
    """The portal's processes whose command line has `part`."""
    found = []
    for pid in tree(portal.process.pid):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
        if part.encode() in line and pid != portal.process.pid:
            found.append(pid)
    return found


def kill(portal: Portal, part: str) -> None:
    """kill -9 the topmost process that matches, as the kernel's OOM killer would."""
    os.kill(min(processes(portal, part)), signal.SIGKILL)


def checked_since(portal: Portal, moment: float) -> int:
    return int(
        rows(
            portal,
            "SELECT count(*) FROM monitors_monitorstate"
            " WHERE last_result_at > to_timestamp(%s)",
            moment,
        )[0][0]
    )


def wait_until_all_checked(portal: Portal, *, seconds: float) -> None:
    moment = time.time()
    until(
        lambda: _quietly(lambda: checked_since(portal, moment) == COUNT),
        seconds=seconds,
        what=f"{COUNT} monitors to be checked again",
        every_s=0.3,
    )


def _quietly(look):
    """While PostgreSQL restarts there is nobody to ask."""
    import psycopg

    try:
        return look()
    except psycopg.Error:
        return False


def holes(portal: Portal) -> list[tuple[object, ...]]:
    """Places where a monitor's ledger overlaps or leaves time out."""
    return rows(
        portal,
        """
        SELECT * FROM (
            SELECT monitor_id, status, started_at, ended_at,
                   lead(started_at) OVER (PARTITION BY monitor_id
                                          ORDER BY started_at) AS next_at
              FROM monitors_statusinterval) l
         WHERE (next_at IS NOT NULL AND ended_at IS DISTINCT FROM next_at)
            OR (next_at IS NULL AND ended_at IS NOT NULL)
        """,
    )


def _what_happened(portal: Portal, slack: Inbox) -> str:
    """Who was told what, and why: for the reader of a failure."""
    timeline = rows(
        portal, "SELECT at, kind, text, data FROM incidents_incidentevent ORDER BY id"
    )
    failures = rows(
        portal,
        "SELECT at, monitor_id, message FROM monitors_resultdetail d"
        "  JOIN monitors_monitor m ON m.id = d.monitor_id"
        " WHERE NOT starts_with(message, 'HTTP 500') ORDER BY at LIMIT 50",
    )
    told = [(one.at, one.body["text"]) for one in slack.received]
    return "\n".join(str(line) for line in [*told, *timeline, *failures])


def test_killed_worker_beat_and_postgres_lose_and_double_nothing():
    shop, broken, slack = Shop(), Shop(), Inbox()
    broken.turn("failing")
    with prepared_workplace() as directory:
        with start(directory, **DURABLE) as portal:
            import_config(portal, CONFIG, STORY_SLACK=slack.url)
            add_monitors(
                portal, count=COUNT - 1, target=shop.url, interval_s=INTERVAL_S
            )
            add_monitors(portal, count=1, target=broken.url, interval_s=INTERVAL_S)
            wait_until_all_checked(portal, seconds=60)
            until(lambda: slack.received, seconds=60, what="the page")
            # Not another one that a busy machine answered too late at the start.
            until(
                lambda: (
                    rows(
                        portal,
                        "SELECT count(*) FROM monitors_monitorstate s JOIN monitors_monitor"
                        " m ON m.id = s.monitor_id WHERE s.status = 'down' AND target = %s",
                        broken.url,
                    )
                    == [(1,)]
                ),
                seconds=60,
                what="the broken one to be down",
            )

            kill(portal, "celery")
            wait_until_all_checked(portal, seconds=60)
            kill(portal, "t4g_portal.beat")
            wait_until_all_checked(portal, seconds=60)
            kill(portal, "postgres")
            wait_until_all_checked(portal, seconds=90)

            assert holes(portal) == []
            assert rows(portal, "SELECT count(*) FROM incidents_incident") == [(1,)]

            # Everything at once, without a chance to say goodbye.
            killed_at = time.time()
            for pid in sorted(tree(portal.process.pid)):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            portal.process.wait()
        # Longer than a result vouches for its monitor.
        time.sleep(max(killed_at + 25 - time.time(), 0))

        with start(directory, **DURABLE) as portal:
            started_at = time.time()
            wait_until_all_checked(portal, seconds=60)
            until(
                lambda: (
                    rows(
                        portal,
                        "SELECT count(*) FROM monitors_monitorstate WHERE status = 'up'",
                    )
                    == [(COUNT - 1,)]
                ),
                seconds=60,
                what="all but one to be up",
            )
            assert holes(portal) == []
            # Each monitor's ledger that hides the time in which nobody looked.
            assert (
                rows(
                    portal,
                    "SELECT m.id, array_agg(format('%%s %%s–%%s', i.status,"
                    " i.started_at, i.ended_at) ORDER BY i.started_at)"
                    "  FROM monitors_monitor m"
                    "  JOIN monitors_statusinterval i ON i.monitor_id = m.id"
                    " GROUP BY m.id"
                    " HAVING NOT bool_or(i.status = 'unknown'"
                    "   AND i.started_at < to_timestamp(%s)"
                    "   AND coalesce(i.ended_at, 'infinity') > to_timestamp(%s))",
                    killed_at + 2 * INTERVAL_S,
                    killed_at + 20,
                )
                == []
            )
            assert started_at > killed_at
            assert rows(portal, "SELECT count(*) FROM incidents_incident") == [(1,)]
            told = Counter(
                json.dumps(one.body, sort_keys=True) for one in slack.received
            )
            assert list(told.values()) == [1], _what_happened(portal, slack)
    for server in (shop, broken, slack):
        server.stop()
