"""Redis or PostgreSQL go away in the production shape: work resumes, nothing is blamed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from bench.portal import workplace
from tests.flows.portals import until
from tests.flows.production import Production, production
from tests.flows.standins import Inbox, Shop
from tests.flows.stores import Postgres, Redis, stores

SHAPE = ("web", "worker-probes", "worker-alerts", "beat")
INTERVAL_S = 2
COUNT = 5
CONFIG = """
services:
  - {slug: shop, name: Shop}
  - {slug: other, name: Other}
channels:
  - {name: Slack, kind: slack, secret_env: STORY_SLACK, is_enabled: true}
escalation_policies:
  - {name: Everybody, steps: [{channels: [Slack]}]}
priority_rules:
  - {priority: p0, response_s: 300, policy: Everybody}
thresholds:
  - {name: Down, measure: down, critical_priority: p0}
monitors:
"""
MONITOR = """
  - name: %(name)s
    service: %(service)s
    kind: http
    target: %(url)s
    interval_s: 2
    retry_interval_s: 1
    timeout_s: 1
    failures_to_down: 3
    may_use_private_targets: true
"""

_FILL = """
INSERT INTO monitors_checkresult (at, monitor_id, transfer_ms, code)
SELECT date_trunc('day', now(), 'UTC') + n * interval '1 microsecond', 0, 0, 0
  FROM generate_series(1, %s) n
"""


@dataclass
class Story:
    """A portal in the production shape, a shop that breaks, others that never do."""

    portal: Production
    postgres: Postgres
    redis: Redis
    shop: Shop
    slack: Inbox

    def wait_until_all_checked(self, *, seconds: float) -> float:
        """Wait until each monitor has a result from now on; return how long it took."""
        began_at = time.time()
        until(
            lambda: (
                self.portal.rows(
                    "SELECT count(*) FROM monitors_monitorstate"
                    " WHERE last_result_at > to_timestamp(%s)",
                    began_at,
                )
                == [(COUNT,)]
            ),
            seconds=seconds,
            what="all monitors to be checked again",
        )
        return time.time() - began_at

    def statuses(self, at: float) -> set[str]:
        """What the ledger says of that moment."""
        found = self.portal.rows(
            "SELECT status FROM monitors_statusinterval"
            " WHERE started_at <= to_timestamp(%s)"
            "   AND coalesce(ended_at, 'infinity') > to_timestamp(%s)",
            at,
            at,
        )
        assert len(found) == COUNT
        return {row[0] for row in found}

    def blamed(self) -> set[str]:
        """The monitors that were ever called down."""
        found = self.portal.rows(
            "SELECT m.name FROM monitors_statusinterval i"
            "  JOIN monitors_monitor m ON m.id = i.monitor_id WHERE i.status = 'down'"
        )
        return {row[0] for row in found}

    def results_since(self, moment: float) -> int:
        ((count,),) = self.portal.rows(
            "SELECT count(*) FROM monitors_checkresult WHERE at > to_timestamp(%s)",
            moment,
        )
        return int(count)

    def longest_gap_s(self, since: float) -> float:
        """The longest time between two results of a monitor, and from the last to now."""
        ((gap,),) = self.portal.rows(
            """
            SELECT max(extract(epoch FROM coalesce(later, now()) - at)) FROM (
                SELECT at, lead(at) OVER (PARTITION BY monitor_id ORDER BY at) AS later
                  FROM monitors_checkresult WHERE at > to_timestamp(%s)) gaps
            """,
            since,
        )
        return float(gap)

    def assert_told_once(self, count: int) -> None:
        """The shop's outage and its end: one message each, `count` so far."""
        assert len(self.slack.received) == count
        assert self.portal.rows("SELECT count(*) FROM incidents_incident") == [(1,)]
        assert self.blamed() == {"Shop"}


@contextmanager
def story(directory: Path, postgres: Postgres, redis: Redis) -> Iterator[Story]:
    shop, other, slack = Shop(), Shop(), Inbox()
    watched = [MONITOR % {"name": "Shop", "service": "shop", "url": shop.url}]
    watched += [
        MONITOR % {"name": f"Other {number}", "service": "other", "url": other.url}
        for number in range(1, COUNT)
    ]
    with production(directory, postgres=postgres, redis=redis, shape=SHAPE) as portal:
        portal.import_config(CONFIG + "".join(watched), STORY_SLACK=slack.url)
        begun = Story(portal, postgres, redis, shop, slack)
        until(
            lambda: (
                portal.rows(
                    "SELECT count(*) FROM monitors_monitorstate WHERE status = 'up'"
                )
                == [(COUNT,)]
            ),
            seconds=40,
            what="all monitors to be up",
        )
        yield begun
        portal.assert_alive()
    for server in (shop, other, slack):
        server.stop()


def test_lost_and_emptied_redis_costs_ticks_only():
    with (
        workplace() as directory,
        stores(directory) as (postgres, redis),
        story(directory, postgres, redis) as told,
    ):
        emptied_at = time.time()
        with redis.client() as client:
            client.flushall()
        time.sleep(3 * INTERVAL_S)
        assert told.longest_gap_s(emptied_at - INTERVAL_S) < 2 * INTERVAL_S

        killed_at = time.time()
        redis.kill()
        told.shop.turn("failing")
        time.sleep(10)
        assert told.portal.get("/health").status_code == 200
        redis.start()
        told.wait_until_all_checked(seconds=40)
        until(lambda: told.slack.received, seconds=30, what="the page in Slack")
        assert told.statuses(killed_at + 8) <= {"up", "unknown"}
        time.sleep(4)
        told.assert_told_once(1)

        told.shop.turn("healthy")
        until(lambda: len(told.slack.received) == 2, seconds=30, what="the recovery")
        told.assert_told_once(2)


def test_lost_frozen_and_full_database_is_our_fault():
    with (
        workplace() as directory,
        stores(directory) as (postgres, redis),
        story(directory, postgres, redis) as told,
    ):
        stopped_at = time.time()
        postgres.stop_immediately()
        watch_unready(told.portal, for_s=13)
        postgres.start()
        told.wait_until_all_checked(seconds=40)
        assert told.statuses(stopped_at + 8) == {"unknown"}

        postgres.freeze()
        watch_unready(told.portal, for_s=7)
        postgres.thaw()
        told.wait_until_all_checked(seconds=40)
        until(
            lambda: told.portal.get("/ready").is_success, seconds=40, what="/ready: 200"
        )

        fill_disk(told)
        full_at = time.time()
        until(
            lambda: "monitors.probe" in told.portal.get("/ready").text,
            seconds=60,
            what="/ready to name the loop that can't record",
        )
        assert told.results_since(full_at) == 0
        postgres.free_disk()
        told.wait_until_all_checked(seconds=40)
        # What waited in memory is stored now; what did not is unknown.
        assert told.statuses(full_at + 6) <= {"up", "unknown"}
        assert told.blamed() == set()
        assert told.portal.rows("SELECT count(*) FROM incidents_incident") == [(0,)]

        told.shop.turn("failing")
        until(lambda: told.slack.received, seconds=30, what="the page in Slack")
        time.sleep(4)
        told.assert_told_once(1)


def watch_unready(portal: Production, *, for_s: float) -> None:
    """/ready blames the database and /health nobody, each answering in time."""
    began_at = time.monotonic()
    # What was being asked when the database went may still be answered.
    until(lambda: portal.get("/ready").status_code == 503, seconds=8, what="503")
    while time.monotonic() - began_at < for_s:
        answer = portal.get("/ready", timeout_s=6)
        assert answer.status_code == 503
        assert answer.json()["database"] != "ok"
        assert portal.get("/health", timeout_s=2).status_code == 200
        time.sleep(0.5)


def fill_disk(told: Story) -> None:
    """Take the disk's space, and then what the table of results has left in itself.

    Each session fills a page of its own, and a new session begins with the last page.
    """
    with psycopg.connect(told.postgres.url, autocommit=True) as connection:
        with connection.transaction():
            # Meanwhile the worker would begin a page that nobody else finds again, with
            # room for a minute's results.
            connection.execute("LOCK TABLE monitors_checkresult IN EXCLUSIVE MODE")
            # Past the size that files may have where no disk can be mounted.
            connection.execute(_FILL, [100_000])
        # The log of that makes room for the log to come: without any the server ends
        # itself, which is another story.
        connection.execute("CHECKPOINT")
        told.postgres.fill_disk()
        _fill_pages(connection)
    # The one that the worker may have begun since.
    with psycopg.connect(told.postgres.url, autocommit=True) as connection:
        _fill_pages(connection)


def _fill_pages(connection: psycopg.Connection) -> None:
    """Insert rows until there is no page for one more."""
    with pytest.raises(psycopg.Error, match="could not extend file"):
        _repeat(lambda: connection.execute(_FILL, [1]), times=10_000)


def _repeat(action: Callable[[], object], *, times: int) -> None:
    for _ in range(times):
        action()
