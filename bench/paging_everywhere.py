"""From the result that confirms an outage to the requests at every provider, while
2,000 other monitors are watched and 500 of them hang."""

from __future__ import annotations

import email.message
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.figures import Figure
from bench.paging import confirmed_at
from bench.portal import (
    Portal,
    add_monitors,
    free_port,
    manage,
    running_target,
    start,
    wait_for_results,
    workplace,
)
from tests.flows.standins import MailHost
from tests.notifications import vendors
from tests.notifications.servers import Answer, Request, SlackApi, running
from tests.notifications.vendors import Twilio, standing_in

_OUTAGES = 40
_OTHERS = 2_000
_HANGING = 500
_BOUND_S = 2
_WAYS = ("Slack", "SMS", "e-mail")

_CONFIG = """
services:
  - {{slug: others, name: Others}}
{services}
contacts:
  - name: On call
    addresses: [{{kind: phone, value: "+33612345678"}}]
    rules: [{{priority: p0, method: sms}}]
providers:
  - {{name: Slack, kind: slack, is_enabled: true, secret_env: BENCH_SLACK_TOKEN,
     second_secret_env: BENCH_SLACK_SIGNING}}
  - {{name: Twilio, kind: twilio, position: 1, is_enabled: true, account: {account},
     secret_env: BENCH_TWILIO_TOKEN, sender: "+33757000000"}}
channels:
  - {{name: Alerts, kind: slack_bot, address: C0ALERTS, is_enabled: true}}
  - {{name: Ops, kind: email, address: ops@example.org, is_enabled: true}}
escalation_policies:
  - name: Everybody
    steps: [{{channels: [Alerts, Ops], contacts: [On call], has_mention: true}}]
priority_rules:
  - {{priority: p0, response_s: 300, policy: Everybody}}
thresholds:
  - {{name: Down, measure: down, critical_priority: p0}}
"""
_PROVE = """
from django.utils import timezone
from incidents.models import Service
from monitors.models import Monitor
from notifications.models import Address
from notifications.verifying import verify_by_hand
for address in Address.objects.all():
    verify_by_hand(address=address, now=timezone.now())
services = list(Service.objects.exclude(slug="others").order_by("slug"))
for monitor, service in zip(Monitor.objects.order_by("pk"), services):
    Monitor.objects.filter(pk=monitor.pk).update(service=service, name=service.name)
"""

# By way, and by the name of a service: when the request that names it came in.
_Arrivals = dict[str, list[tuple[float, str]]]


class _Slack(SlackApi):
    """Notes when each message came."""

    def __init__(self, arrivals: list[tuple[float, str]]) -> None:
        super().__init__()
        self._arrivals = arrivals

    def answer(self, request: Request) -> Answer:
        if request.path == "/api/chat.postMessage":
            self._arrivals.append((time.time(), json.dumps(request.json)))
        return super().answer(request)


class _MailHost(MailHost):
    """Notes when each mail came."""

    def __init__(self, arrivals: list[tuple[float, str]]) -> None:
        super().__init__()
        self._arrivals = arrivals

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        came_at = time.time()
        subject = email.message_from_bytes(envelope.content)["Subject"]
        self._arrivals.append((came_at, " ".join(str(subject).split())))
        return "250 kept"


def paging_everywhere() -> list[Figure]:
    """40 outages among 2,000 monitors, 500 of which hang: Slack, SMS and e-mail."""
    arrivals: _Arrivals = {way: [] for way in _WAYS}
    slack, mail = _Slack(arrivals["Slack"]), _MailHost(arrivals["e-mail"])
    twilio = Twilio()
    with (
        workplace() as directory,
        running_target(directory) as target,
        _hanging() as hanging,
        running(slack),
        standing_in(twilio),
        start(
            directory,
            PORTAL_SEED="off",
            PORTAL_LANGUAGE="en",
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=str(mail.port),
            EMAIL_USE_TLS="false",
            SLACK_API_URL=slack.url,
            TWILIO_API_URL=twilio.url,
        ) as portal,
    ):
        url = f"http://127.0.0.1:{target.http}/health"
        _prepare(portal, slack, url=url, hanging=hanging)
        wait_for_results(portal, count=_OTHERS + _OUTAGES, timeout_s=240)
        delays = _break_one_by_one(portal, arrivals, twilio)
    mail.stop()
    figures = []
    for way, found in delays.items():
        found.sort()
        last = min(int(len(found) * 0.99), len(found) - 1)
        figures += [
            Figure(f"confirmed to {way}, p50", found[len(found) // 2], "s"),
            Figure(f"confirmed to {way}, p99", found[last], "s", _BOUND_S),
        ]
    return figures


@contextmanager
def _hanging() -> Iterator[int]:
    """A port, on every address of this machine, that takes requests and says nothing."""
    with socket.create_server(("0.0.0.0", 0), backlog=4096) as server:
        yield server.getsockname()[1]


def _prepare(portal: Portal, slack: SlackApi, *, url: str, hanging: int) -> None:
    services = "\n".join(
        f"  - {{slug: s{n:02}, name: Service {n:02}}}" for n in range(_OUTAGES)
    )
    path = portal.data_dir.parent / "config.yaml"
    path.write_text(_CONFIG.format(services=services, account=vendors.ACCOUNT_SID))
    manage(
        portal,
        *("config", "import", str(path)),
        BENCH_SLACK_TOKEN=slack.token,
        BENCH_SLACK_SIGNING=slack.signing_secret,
        BENCH_TWILIO_TOKEN=vendors.AUTH_TOKEN,
    )
    add_monitors(portal, count=_OUTAGES, target=url, interval_s=1)
    manage(portal, "shell", "-c", _PROVE)
    # Others of the same names would not fit: these are told apart by their target.
    add_monitors(portal, count=_OTHERS, target=f"{url}?", interval_s=60)
    with portal.connect() as connection:
        # Each on an address of its own, so that no limit a host holds them apart.
        connection.execute(
            """
            UPDATE monitors_monitor m
               SET target = format('http://127.1.%%s.%%s:%%s/', n / 250, n %% 250 + 1,
                                   %s::integer), timeout_s = 50
              FROM (SELECT id, row_number() OVER (ORDER BY id DESC) AS n
                      FROM monitors_monitor) numbered
             WHERE numbered.id = m.id AND n <= %s
            """,
            [hanging, _HANGING],
        )


def _break_one_by_one(
    portal: Portal, arrivals: _Arrivals, twilio: Twilio
) -> dict[str, list[float]]:
    """Break a monitor, wait for all who are told; seconds from confirmed, by way."""
    delays: dict[str, list[float]] = {way: [] for way in _WAYS}
    nowhere = f"http://127.0.0.1:{free_port()}/"
    with portal.connect() as connection:
        found = connection.execute(
            "SELECT id, name FROM monitors_monitor WHERE interval_s = 1 ORDER BY id"
        ).fetchall()
        for monitor_id, name in found:
            connection.execute(
                "UPDATE monitors_monitor SET target = %s WHERE id = %s",
                [nowhere, monitor_id],
            )
            came = {way: _wait(arrivals, twilio, way, name) for way in _WAYS}
            confirmed = confirmed_at(connection, monitor_id)
            for way, at in came.items():
                delays[way].append(at - confirmed)
    return delays


def _wait(arrivals: _Arrivals, twilio: Twilio, way: str, name: str) -> float:
    """When the first message that names it came in by this way."""
    deadline = time.time() + 30
    while time.time() < deadline:
        known = arrivals[way]
        if way == "SMS":
            known = [(one["_at"], one["body"]) for one in twilio.messages]
        for at, text in list(known):
            if name in text:
                return at
        time.sleep(0.01)
    raise SystemExit(f"no {way} names {name}")
