"""Heartbeat pings: how many a core takes in, and whether any is lost."""

from __future__ import annotations

import http.client
import threading
import time

from bench.figures import Figure
from bench.portal import Portal, running_portal, workplace

_CLIENTS = 8
_SECONDS = 15
_KEY = "bench-heartbeat-%d"


def heartbeats() -> list[Figure]:
    """Eight clients ping 200 heartbeats as fast as they can for 15 s."""
    with workplace() as directory, running_portal(directory) as portal:
        _add_heartbeats(portal, 200)
        before, began = portal.usage(), time.monotonic()
        accepted = _ping_all(portal.port)
        took, used = time.monotonic() - began, portal.usage() - before
        with portal.connect() as connection:
            row = connection.execute(
                "SELECT count(*) FROM monitors_heartbeatping"
            ).fetchone()
        assert row is not None
        return [
            Figure(
                "pings a second of one core",
                accepted / used.total_s,
                "pings/s",
                500,
                None,
                True,
            ),
            Figure("pings a second, as sent", accepted / took, "pings/s"),
            Figure("pings accepted and not stored", accepted - row[0], "pings", 0),
        ]


def _add_heartbeats(portal: Portal, count: int) -> None:
    with portal.connect() as connection:
        connection.execute(
            """
            INSERT INTO monitors_monitor
                   (name, service_id, kind, target, options, secret, interval_s,
                    timeout_s, failures_to_down, successes_to_up, retry_interval_s,
                    tags, runbook_url, may_use_private_targets, is_enabled, ping_key,
                    created_at, revision)
            SELECT 'heartbeat ' || n, (SELECT min(id) FROM incidents_service),
                   'heartbeat', '', '{}', '', 60, 10, 1, 1, 20, '{}', '', false,
                   true, 'bench-heartbeat-' || n, now(), 0
              FROM generate_series(1, %s) n
            """,
            [count],
        )


def _ping_all(port: int) -> int:
    accepted = [0] * _CLIENTS
    until = time.monotonic() + _SECONDS

    def ping(client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        number = client
        while time.monotonic() < until:
            number = number % 200 + 1
            connection.request("GET", "/ping/" + _KEY % number)
            response = connection.getresponse()
            response.read()
            accepted[client] += response.status == 200

    threads = [threading.Thread(target=ping, args=(n,)) for n in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(accepted)
