"""From the result that confirms an outage to the request on Slack's wire."""

from __future__ import annotations

import http.server
import threading
import time

import psycopg

from bench.figures import Figure
from bench.portal import (
    Portal,
    add_monitors,
    free_port,
    manage,
    running_portal,
    running_target,
    wait_for_results,
    workplace,
)

_OUTAGES = 40


def paging() -> list[Figure]:
    """40 monitors of 40 services go down one after another; each pages Slack."""
    with workplace() as directory, running_target(directory) as target:
        arrivals: list[tuple[float, str]] = []
        server = _slack(arrivals)
        with running_portal(directory) as portal:
            url = f"http://127.0.0.1:{target.http}/health"
            add_monitors(portal, count=_OUTAGES, target=url, interval_s=1)
            _prepare(portal, f"http://127.0.0.1:{server.server_port}/services/T/B/x")
            wait_for_results(portal, count=_OUTAGES, timeout_s=60)
            delays = _break_one_by_one(portal, arrivals)
        server.shutdown()
        delays.sort()
        return [
            Figure("confirmed to Slack's wire, p50", delays[len(delays) // 2], "s"),
            Figure(
                "confirmed to Slack's wire, p99",
                delays[min(int(len(delays) * 0.99), len(delays) - 1)],
                "s",
                2,
            ),
        ]


def _slack(arrivals: list[tuple[float, str]]) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            at = time.time()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            arrivals.append((at, body.decode()))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _prepare(portal: Portal, url: str) -> None:
    """A service a monitor, and one Slack channel that every priority tells."""
    script = (
        "from notifications.models import Channel;"
        "from incidents.models import EscalationStep, Service;"
        "from monitors.models import Monitor;"
        f"c = Channel.objects.create(name='Bench', kind='slack', secret={url!r},"
        " is_enabled=True);"
        "[s.channels.set([c]) for s in EscalationStep.objects.all()];"
        "[Monitor.objects.filter(pk=m.pk).update(service=Service.objects.create("
        "name=f'Service {m.pk}.', slug=f's{m.pk}')) for m in Monitor.objects.all()]"
    )
    manage(portal, "shell", "-c", script)


def _break_one_by_one(portal: Portal, arrivals: list[tuple[float, str]]) -> list[float]:
    delays = []
    nowhere = f"http://127.0.0.1:{free_port()}/"
    with portal.connect() as connection:
        ids = [
            row[0]
            for row in connection.execute(
                "SELECT id FROM monitors_monitor ORDER BY id"
            ).fetchall()
        ]
        for monitor_id in ids:
            connection.execute(
                "UPDATE monitors_monitor SET target = %s, retry_interval_s = 1"
                " WHERE id = %s",
                [nowhere, monitor_id],
            )
            arrived = _wait_for(arrivals, f"Service {monitor_id}.")
            delays.append(arrived - confirmed_at(connection, monitor_id))
    return delays


def _wait_for(arrivals: list[tuple[float, str]], name: str) -> float:
    """When the first message that names it came in."""
    deadline = time.time() + 30
    while time.time() < deadline:
        for at, body in list(arrivals):
            if name in body:
                return at
        time.sleep(0.01)
    raise SystemExit(f"no message names {name}")


def confirmed_at(connection: psycopg.Connection, monitor_id: int) -> float:
    """When the third failed result began, in seconds since the epoch."""
    row = connection.execute(
        "SELECT extract(epoch FROM at)::float8 FROM monitors_checkresult"
        " WHERE monitor_id = %s AND code <> 0 ORDER BY at OFFSET 2 LIMIT 1",
        [monitor_id],
    ).fetchone()
    assert row is not None
    return float(row[0])
