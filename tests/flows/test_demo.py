"""`make demo` as its users see it: broken on a page, seen, told, taken, mended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from bench.portal import ROOT, Portal, free_port, workplace
from t4g_portal.demo import inbox, marking
from tests.flows.portals import press, rows, until

# A cold start collects static files, and the machine of the tests may be busy.
STARTS_WITHIN_S = 150


@contextmanager
def running_demo(directory: Path, **environment: str) -> Iterator[Portal]:
    """A demo, started with the program that `make demo` runs."""
    port = free_port()
    log = directory / "portal.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "t4g_portal.demo"],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "t4g_portal.settings",
                "PORTAL_DATA_DIR": str(directory / "data"),
                "PORTAL_LANGUAGE": "en",
                "PORTAL_DB_FAST": "1",
                "PORT": str(port),
                **environment,
            },
            stdout=out,
            stderr=out,
        )
    portal = Portal(process=process, data_dir=directory / "data", port=port)
    try:
        until(
            lambda: "The portal is at" in log.read_text() or process.poll() is not None,
            seconds=STARTS_WITHIN_S,
            what=f"the demo to start; see {log}",
        )
        assert process.poll() is None, log.read_text()
        yield portal
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


@contextmanager
def signed_in(portal: Portal) -> Iterator[httpx.Client]:
    """Signed in with what the start has printed."""
    log = (portal.data_dir.parent / "portal.log").read_text()
    printed = re.search(r"user name {2,}(\S+).*?password {2,}(\S+)", log, re.DOTALL)
    assert printed, log
    with httpx.Client(
        base_url=f"http://127.0.0.1:{portal.port}", follow_redirects=True, timeout=15
    ) as client:
        client.get("/admin/login/")
        answer = press(
            client,
            "/admin/login/",
            username=printed.group(1),
            password=printed.group(2),
            next="/",
        )
        assert answer.status_code == 200, answer.text
        yield client


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with workplace() as directory:
        yield directory


def refusal(directory: Path, module: str, **environment: str) -> str:
    """What a program says that refuses to start on a directory."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "t4g_portal.settings",
            "PORTAL_ENV_FILE": os.devnull,
            "PORTAL_DATA_DIR": str(directory),
            "PORT": str(free_port()),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=STARTS_WITHIN_S,
        check=False,
    )
    assert done.returncode != 0
    return done.stderr


def test_an_outage_is_made_seen_told_taken_and_mended(place):
    with running_demo(place) as portal, signed_in(portal) as client:
        began = time.monotonic()
        home = client.get("/").text
        assert "Demo data" in home
        assert "Demo data" in client.get("/status/").text
        (past,) = rows(
            portal,
            "SELECT count(*), min(started_at) < now() - interval '80 days'"
            " FROM incidents_incident WHERE status = 'resolved'",
        )
        assert past[0] >= 14
        assert past[1]
        until(
            lambda: rows(
                portal,
                "SELECT 1 FROM monitors_monitorstate s JOIN monitors_monitor m"
                " ON m.id = s.monitor_id WHERE m.name = 'Shop API' AND status = 'up'"
                " AND last_result_at > now() - interval '20 seconds'",
            ),
            seconds=40,
            what="the shop's API to be seen up",
        )

        press(client, "/demo/turn/", part="api", mode="error")
        number = until(
            lambda: _open_incident(portal, "Shop API is down"),
            seconds=60,
            what="the incident",
        )
        until(
            lambda: (
                {"slack", "mail"}
                <= {one.via for one in inbox.newest(portal.data_dir, count=50)}
            ),
            seconds=20,
            what="the messages",
        )
        messages = client.get("/demo/inbox/").text
        for words in ("Shop API is down", "#shop-alerts", "oncall@shop.example"):
            assert words in messages
        assert "HTTP 500" in messages

        press(client, f"/incidents/{number}/acknowledge/")
        ((state,),) = rows(
            portal, "SELECT status FROM incidents_incident WHERE id = %s", number
        )
        assert state == "acknowledged"

        press(client, "/demo/turn/", part="api", mode="")
        until(
            lambda: rows(
                portal,
                "SELECT 1 FROM incidents_incident WHERE id = %s"
                " AND status = 'resolved'",
                number,
            ),
            seconds=60,
            what="the recovery",
        )
        assert time.monotonic() - began < 120


def test_an_expired_certificate_and_a_dead_database_are_seen(place):
    with running_demo(place) as portal, signed_in(portal) as client:
        press(client, "/demo/turn/", part="login", mode="expired")
        press(client, "/demo/turn/", part="database", mode="refuse")
        for title in ("Login is down", "Database is down"):
            until(partial(_open_incident, portal, title), seconds=120, what=title)
        ((message,),) = rows(
            portal,
            "SELECT s.message FROM monitors_monitorstate s JOIN monitors_monitor m"
            " ON m.id = s.monitor_id WHERE m.name = 'Login'",
        )
        assert "expired" in message
        # Unknown parts and modes are no error of ours.
        for part, mode in (("nothing", "error"), ("api", "dance"), ("", "")):
            answer = press(client, "/demo/turn/", part=part, mode=mode)
            assert answer.status_code == 404
        press(client, "/demo/turn/", part="login", mode="")
        press(client, "/demo/turn/", part="database", mode="")


def test_demo_and_real_data_never_meet(place, tmp_path):
    demo = place / "data"
    # As a demo leaves it; another worker may run the tests that start one here.
    marking.check(data_dir=demo, is_demo=True, is_production=False)
    assert "holds demo data" in refusal(demo, "t4g_portal.launcher")
    (tmp_path / "keys").mkdir()
    assert "real data" in refusal(tmp_path, "t4g_portal.demo")
    assert "never runs there" in refusal(
        tmp_path / "new", "t4g_portal.demo", PORTAL_ENV="production"
    )
    assert not (tmp_path / "new").exists()


def _open_incident(portal: Portal, title: str) -> int:
    found = rows(
        portal,
        "SELECT id FROM incidents_incident WHERE title = %s AND status <> 'resolved'",
        title,
    )
    return int(found[0][0]) if found else 0
