"""The production shape: the programs of docker-compose.yml over TCP, Redis and TLS proxy."""

from __future__ import annotations

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from bench.portal import ROOT, workplace
from tests.flows.portals import until
from tests.flows.production import (
    HOST,
    STOP_S,
    Production,
    production,
    read_services,
)
from tests.flows.standins import Inbox, Shop
from tests.flows.stores import stores

SHAPE = ("web", "worker-probes", "worker-probes", "worker-alerts", "beat", "beat")
INTERVAL_S = 2
COUNT = 5
STEADY_S = 8
MONITOR = """
  - name: Shop %(number)s
    service: %(service)s
    kind: http
    target: %(url)s
    interval_s: 2
    retry_interval_s: 1
    timeout_s: 1
    failures_to_down: 3
    may_use_private_targets: true
"""
CONFIG = """
services:
  - {slug: shop, name: Shop}
  - {slug: healthy, name: Healthy}
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


def config(shop: Shop, healthy: Shop) -> str:
    monitors = [MONITOR % {"number": 0, "service": "shop", "url": shop.url}]
    monitors += [
        MONITOR % {"number": number, "service": "healthy", "url": healthy.url}
        for number in range(1, COUNT)
    ]
    return CONFIG + "".join(monitors)


def gaps(portal: Production, since: float, to: float) -> list[tuple[str, float]]:
    """Each monitor's seconds between a result and the one before it."""
    return [
        (name, float(seconds))
        for name, seconds in portal.rows(
            """
            SELECT m.name, extract(epoch FROM r.at - lag(r.at) OVER w)
              FROM monitors_checkresult r JOIN monitors_monitor m ON m.id = r.monitor_id
             WHERE r.at BETWEEN to_timestamp(%s) AND to_timestamp(%s)
            WINDOW w AS (PARTITION BY m.id ORDER BY r.at)
            """,
            since,
            to,
        )
        if seconds is not None
    ]


def count_up(portal: Production) -> int:
    ((count,),) = portal.rows(
        "SELECT count(*) FROM monitors_monitorstate WHERE status = 'up'"
    )
    return int(count)


def test_two_workers_and_two_beats_page_once_and_stop_in_time():
    shop, healthy, slack = Shop(), Shop(), Inbox()
    with (
        workplace() as directory,
        stores(directory) as (postgres, redis),
        production(
            directory, postgres=postgres, redis=redis, shape=SHAPE, has_pages=True
        ) as portal,
    ):
        portal.import_config(config(shop, healthy), STORY_SLACK=slack.url)
        assert_an_outage_is_told_once(portal, shop, slack)
        assert_pages_are_for_browsers_behind_tls(portal)
        assert_health_checks_tell_the_truth(portal)
        portal.assert_alive()
        assert_sigterm_ends_each_in_time(portal)
    for server in (shop, healthy, slack):
        server.stop()


def assert_an_outage_is_told_once(portal: Production, shop: Shop, slack: Inbox) -> None:
    until(lambda: count_up(portal) == COUNT, seconds=40, what="all monitors to be up")

    began_at = time.time()
    time.sleep(STEADY_S)
    found = gaps(portal, began_at, time.time())
    assert len(found) >= COUNT * (STEADY_S / INTERVAL_S - 2)
    assert [gap for gap in found if gap[1] < INTERVAL_S / 2] == []

    shop.turn("failing")
    until(lambda: slack.received, seconds=30, what="the page in Slack")
    # Three failures at the retry interval, and a few seconds of ticks.
    assert slack.received[0].at - shop.first_at["failing"] < 15
    time.sleep(5)
    assert len(slack.received) == 1
    assert portal.rows("SELECT status, priority FROM incidents_incident") == [
        ("triggered", "p0")
    ]
    assert count_up(portal) == COUNT - 1

    shop.turn("healthy")
    until(lambda: len(slack.received) == 2, seconds=30, what="the recovery in Slack")
    assert portal.rows("SELECT status FROM incidents_incident") == [("resolved",)]


def assert_pages_are_for_browsers_behind_tls(portal: Production) -> None:
    address = f"http://127.0.0.1:{portal.port}"
    plain = httpx.get(f"{address}/incidents/", headers={"Host": HOST})
    assert plain.status_code == 301
    assert plain.headers["location"] == f"https://{HOST}/incidents/"
    # Platforms ask from inside, without the proxy, but by the right name.
    assert httpx.get(f"{address}/health", headers={"Host": HOST}).status_code == 200
    assert httpx.get(f"{address}/health").status_code == 400
    until(
        lambda: httpx.get(f"{address}/ready", headers={"Host": HOST}).is_success,
        seconds=60,
        what="/ready to answer 200",
    )

    secret = "correct horse battery"
    portal.run(
        "web",
        *["python", "manage.py", "createsuperuser", "--no-input"],
        *["--username=ops", "--email=ops@example.org"],
        DJANGO_SUPERUSER_PASSWORD=secret,
    )
    page = portal.get("/admin/login/")
    assert page.status_code == 200, portal.said()
    assert "max-age=31536000" in page.headers["strict-transport-security"]
    (token,) = re.findall(r"__Host-csrf=(\w+); .*Secure", page.headers["set-cookie"])
    with portal.client() as client:
        answer = client.post(
            "/admin/login/",
            data={
                "username": "ops",
                "password": secret,
                "csrfmiddlewaretoken": token,
                "next": "/",
            },
            headers={
                "Referer": f"https://{HOST}/admin/login/",
                "Cookie": f"__Host-csrf={token}",
            },
        )
        assert answer.status_code == 302, answer.text
        cookies = answer.headers.get_list("set-cookie")
        (session,) = (one for one in cookies if one.startswith("__Host-session="))
        assert {"Secure", "HttpOnly"} <= set(session.split("; "))
        session = session.partition(";")[0]
        home = client.get("/", headers={"Cookie": session})
        assert home.status_code == 200, portal.said()
        static = re.findall(r'"(/static/[^"]+\.css)"', home.text)
        assert client.get(static[0]).status_code == 200


def assert_health_checks_tell_the_truth(portal: Production) -> None:
    checked = {program.service.name: program for program in portal.programs}
    absent = replace(checked["worker-alerts"], host_name="nobody")
    programs = [*checked.values(), absent]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(portal.is_healthy, programs))
    assert found == [program is not absent for program in programs]


def assert_sigterm_ends_each_in_time(portal: Production) -> None:
    deadline = time.monotonic() + STOP_S
    for program in portal.programs:
        program.terminate()
    for program in portal.programs:
        code = program.process.wait(max(deadline - time.monotonic(), 0.1))
        assert code == 0, (program.host_name, program.said())
        data_dir = Path(program.service.environment["PORTAL_DATA_DIR"])
        # Without a volume the container's file system is read-only.
        is_written = any(data_dir.iterdir())
        assert is_written == program.service.has_volume, program.host_name
        assert "Traceback" not in program.said() or program.service.name == "web"


@pytest.mark.parametrize("missing", ["SECRET_KEY", "PORTAL_DATA_KEYS"])
def test_nothing_starts_without_keys(missing: str, tmp_path: Path):
    services = read_services(directory=tmp_path, places={}, **{missing: ""})

    started = {
        name: subprocess.Popen(
            service.argv,
            cwd=ROOT,
            env=service.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name, service in services.items()
    }

    assert "web" in started
    for name, process in started.items():
        said, _ = process.communicate(timeout=60)
        assert process.returncode != 0, name
        assert f"{missing} is not set." in said, name
