"""The key is changed while probes that use a secret run: none of them notices."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import yaml

from bench.portal import manage, start
from tests.flows.portals import prepared_workplace

PASSWORD = "open sesame"
COUNT = 8


@contextmanager
def guarded_target() -> Iterator[tuple[str, list[bool]]]:
    """An HTTP server that wants the password; `seen` says of each visit if it was right."""
    seen: list[bool] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_right = self.headers.get("Authorization") == f"Bearer {PASSWORD}"
            seen.append(is_right)
            self.send_response(200 if is_right else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_key(name: str) -> str:
    return f"{name}:{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}"


def write_monitors(path: Path, target: str) -> None:
    monitors = [
        {
            "name": f"Guarded {number}",
            "service": "shop",
            "kind": "http",
            "target": target,
            "options": {"auth": "bearer"},
            "secret_env": "TARGET_PASSWORD",
            "interval_s": 1,
            "retry_interval_s": 1,
            "may_use_private_targets": True,
        }
        for number in range(COUNT)
    ]
    services = [{"slug": "shop", "name": "Shop"}]
    path.write_text(yaml.safe_dump({"services": services, "monitors": monitors}))


def wait_for_visits(seen: list[bool], count: int) -> None:
    deadline = time.monotonic() + 60
    goal = len(seen) + count
    while len(seen) < goal:
        assert time.monotonic() < deadline, f"{len(seen)} of {goal} visits"
        time.sleep(0.1)


def key_ids(connection: psycopg.Connection[Any]) -> set[str]:
    rows = connection.execute("SELECT split_part(secret, ':', 2) FROM monitors_monitor")
    return {row[0] for row in rows.fetchall()}


def test_key_is_changed_while_probes_use_the_secret():
    old, new = make_key("old"), make_key("new")
    with (
        prepared_workplace() as directory,
        guarded_target() as (url, seen),
        # Step 2 of docs/security.md: the running processes know both keys.
        start(directory, PORTAL_SEED="off", PORTAL_DATA_KEYS=f"{old},{new}") as portal,
        portal.connect() as connection,
    ):
        path = directory / "monitors.yaml"
        write_monitors(path, url)
        ring = {"PORTAL_DATA_KEYS": f"{old},{new}"}
        manage(portal, "config", "import", str(path), TARGET_PASSWORD=PASSWORD, **ring)
        wait_for_visits(seen, COUNT * 2)
        assert key_ids(connection) == {"old"}

        ring = {"PORTAL_DATA_KEYS": f"{new},{old}"}
        said = manage(portal, "rotate_secrets", "--batch", "3", **ring)
        wait_for_visits(seen, COUNT * 2)

        assert f"monitors.monitor.secret: {COUNT} done" in said
        assert "under key new" in manage(portal, "rotate_secrets", "--check", **ring)
        assert key_ids(connection) == {"new"}
        assert all(seen)
        errors = connection.execute(
            "SELECT count(*) FROM monitors_monitorstate WHERE configuration_error <> ''"
        ).fetchone()
        assert errors == (0,)
