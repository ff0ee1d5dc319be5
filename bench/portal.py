"""A whole portal of its own to measure: started as users start it, on loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import trustme
import yaml

from bench.processes import Usage, usage

ROOT = Path(__file__).resolve().parent.parent
_GUIDE = ROOT / "t4g_portal" / "configuration" / "guide.yaml"
_START_S = 120
# Whatever the caller's are, a test's included.
OWN_SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "t4g_portal.settings",
    "PORTAL_ENV_FILE": os.devnull,
}


@dataclass
class Target:
    """The ports of the local target."""

    http: int
    https: int
    hang: int
    authority: Path
    pid: int


@dataclass
class Portal:
    """A running portal."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    port: int

    def connect(self) -> psycopg.Connection[Any]:
        """A connection to its database, in autocommit."""
        from t4g_portal.embedded_db import EmbeddedDatabase

        url = EmbeddedDatabase(data_dir=self.data_dir).url
        return psycopg.connect(url, autocommit=True)

    def usage(self) -> Usage:
        return usage(self.process.pid)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running_target(directory: Path) -> Iterator[Target]:
    """Run the target; its certificate is signed by an authority of its own."""
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(directory / "authority.pem")
    leaf.private_key_and_cert_chain_pem.write_to_path(directory / "leaf.pem")
    http, https, hang = free_port(), free_port(), free_port()
    process = subprocess.Popen(
        [
            *[sys.executable, "-m", "bench.target", str(http), str(https), str(hang)],
            *[str(directory / "leaf.pem"), str(directory / "leaf.pem")],
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield Target(
            http=http,
            https=https,
            hang=hang,
            authority=directory / "authority.pem",
            pid=process.pid,
        )
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def running_portal(directory: Path, **environment: str) -> Iterator[Portal]:
    """Run a portal with the guide's thresholds and matrix, but nothing to watch yet."""
    with start(directory, PORTAL_SEED="off", **environment) as portal:
        guide = yaml.safe_load(_GUIDE.read_text())
        for section in ("monitors", "control_targets"):
            guide.pop(section)
        path = directory / "bench.yaml"
        path.write_text(yaml.safe_dump(guide, allow_unicode=True))
        manage(portal, "config", "import", str(path))
        yield portal


def manage(portal: Portal, *arguments: str, **environment: str) -> str:
    """Run a management command beside the running portal; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "PORTAL_SEED": "off",
            "PORTAL_DATA_DIR": str(portal.data_dir),
            **OWN_SETTINGS,
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout


@contextlib.contextmanager
def start(directory: Path, **environment: str) -> Iterator[Portal]:
    port = free_port()
    log = (directory / "portal.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "manage.py", "run"],
        cwd=ROOT,
        env={
            **os.environ,
            "PORTAL_DATA_DIR": str(directory / "data"),
            "PORT": str(port),
            **OWN_SETTINGS,
            **environment,
        },
        stdout=log,
        stderr=log,
    )
    portal = Portal(process=process, data_dir=directory / "data", port=port)
    try:
        _wait_until_up(portal)
        yield portal
    finally:
        portal.stop()
        log.close()


def _wait_until_up(portal: Portal) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if portal.process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{portal.port}/health", timeout=1)
            return
        time.sleep(0.1)
    raise SystemExit(
        f"the portal did not start; see {portal.data_dir.parent / 'portal.log'}"
    )


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A directory that goes away afterwards, short enough for a socket's path."""
    with tempfile.TemporaryDirectory(prefix="t4g-bench-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def add_monitors(
    portal: Portal,
    *,
    count: int,
    target: str,
    interval_s: int,
    timeout_s: float = 10,
    kind: str = "http",
) -> None:
    """Insert enabled monitors of one target in one statement."""
    with portal.connect() as connection:
        connection.execute(
            """
            INSERT INTO monitors_monitor
                   (name, service_id, kind, target, options, secret, interval_s,
                    timeout_s, failures_to_down, successes_to_up, retry_interval_s,
                    tags, runbook_url, may_use_private_targets, is_enabled, ping_key,
                    created_at, revision)
            SELECT %(target)s || ' #' || n, (SELECT min(id) FROM incidents_service),
                   %(kind)s, %(target)s, '{}', '', %(interval)s, %(timeout)s, 3, 2,
                   least(20, %(interval)s), '{}', '', true, true,
                   md5(random()::text || n), now(), 0
              FROM generate_series(1, %(count)s) n
            """,
            {
                "target": target,
                "kind": kind,
                "interval": interval_s,
                "timeout": timeout_s,
                "count": count,
            },
        )


def wait_for_results(portal: Portal, *, count: int, timeout_s: float) -> float:
    """Wait until so many monitors have a result; return the seconds it took."""
    began = time.monotonic()
    with portal.connect() as connection:
        while time.monotonic() - began < timeout_s:
            row = connection.execute(
                "SELECT count(*) FROM monitors_monitorstate"
                " WHERE last_result_at IS NOT NULL"
            ).fetchone()
            if row and row[0] >= count:
                return time.monotonic() - began
            time.sleep(0.2)
    raise SystemExit(f"only {row} of {count} monitors were checked in {timeout_s} s")
