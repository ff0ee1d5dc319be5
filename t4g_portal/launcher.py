"""What `manage.py run` runs: the portal's programs, handed to the supervisor.

It reads the settings but sets up no Django app, so that the longest-lived process
stays the smallest one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from t4g_portal.embedded_db import EmbeddedDatabase
from t4g_portal.supervisor import ChildSpec, Supervisor

BASE_DIR = Path(__file__).resolve().parent.parent
# After a kill -9 the former web process needs a moment to let go of the port.
PORT_PATIENCE_S = 3.0


class UnableToRun(Exception):
    """The portal can't start; the text says why and what to do."""


def main() -> int:
    """Run the portal until it is told to stop; the exit code of the process."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "t4g_portal.settings")
    host = os.environ.get("HOST", "") or "127.0.0.1"
    try:
        data_dir, port = settings.DATA_DIR, settings.PORT
        # The programs below are modules, found from where the code is.
        os.chdir(BASE_DIR)
        with _only_copy(data_dir) as was_killed:
            _check_port(host, port, patience_s=PORT_PATIENCE_S if was_killed else 0.0)
            return _supervisor(data_dir=data_dir, host=host, port=port).run()
    except (UnableToRun, ImproperlyConfigured) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _supervisor(*, data_dir: Path, host: str, port: int) -> Supervisor:
    children = []
    environment = {
        "PORTAL_DATA_DIR": str(data_dir),
        "PORT": str(port),
        "PYTHONUNBUFFERED": "1",
        # Threads would otherwise reserve an arena of memory for each core.
        "MALLOC_ARENA_MAX": "2",
    }
    if not os.environ.get("DATABASE_URL"):
        database = EmbeddedDatabase(data_dir=data_dir)
        environment["DATABASE_URL"] = database.url
        children.append(
            ChildSpec(name="postgres", spawn=database.take_over, is_foundation=True)
        )
    if not settings.REDIS_URL:
        _clear_ticks(data_dir / "broker")
    python = [sys.executable]
    programs = {
        "web": [
            *[*python, "-m", "granian", "--interface", "wsgi", "--no-ws"],
            *["--host", host, "--port", str(port), "--http", "1"],
            *["--workers", "1", "--blocking-threads", "4"],
            # A thread that ends takes its database connection along.
            *["--blocking-threads-idle-timeout", "600"],
            *["--respawn-failed-workers", "--workers-kill-timeout", "5"],
            *["--log-level", "warning", "--no-access-log"],
            "t4g_portal.wsgi:application",
        ],
        "worker": [
            # In a container we are root; only JSON is accepted, so nothing is at stake.
            *[*python, "-W", "ignore:You're running the worker with superuser"],
            *["-m", "celery", "--quiet", "-A", "t4g_portal"],
            *["worker", "--pool=threads", "--concurrency=8"],
            *["--queues=probes,paging,housekeeping", "--loglevel=WARNING"],
            *["--without-gossip", "--without-mingle", "--without-heartbeat"],
        ],
        "beat": [*python, "-m", "t4g_portal.beat"],
    }
    children += [
        ChildSpec(name=name, argv=argv, env=environment)
        for name, argv in programs.items()
    ]
    return Supervisor(
        children=children,
        setup=ChildSpec(
            name="setup",
            argv=[*python, str(BASE_DIR / "manage.py"), "prepare"],
            env=environment,
        ),
        is_up=lambda: _answers(host, port),
        greeting=f"The portal is at http://{_printable(host)}:{port}/  (Ctrl-C stops it)",
    )


@contextlib.contextmanager
def _only_copy(data_dir: Path) -> Iterator[bool]:
    """Hold the data directory for this process; yields whether the last one was killed."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "run.lock").open("a+") as lock:
        lock.seek(0)
        holder = lock.read().strip()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UnableToRun(
                f"The portal already runs on {data_dir} (process {holder}). Stop that "
                f"one with `kill {holder}`, or give this copy a directory and a port "
                "of its own: PORTAL_DATA_DIR=… PORT=… make run"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        try:
            yield bool(holder)
        finally:
            # It stays when we are killed, and the next start knows.
            lock.truncate(0)


def _check_port(host: str, port: int, *, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            socket.create_server((host, port), family=family).close()
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            if error.errno == errno.EADDRINUSE:
                raise UnableToRun(
                    f"Port {port} on {host} is taken by another program. Stop that "
                    f"one, or choose another port: PORT={port + 1} make run"
                ) from error
            raise UnableToRun(
                f"Can't listen on {host}:{port} ({error.strerror or error}). Choose "
                "another HOST or PORT."
            ) from error
        return


def _clear_ticks(broker: Path) -> None:
    """Drop the messages of the last run: they are ticks, and stale ones are noise."""
    for folder in ("queue", "control"):
        for path in (broker / folder).glob("*"):
            path.unlink(missing_ok=True)


def _answers(host: str, port: int) -> bool:
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    try:
        socket.create_connection((target, port), timeout=0.2).close()
    except OSError:
        return False
    return True


def _printable(host: str) -> str:
    if host in {"0.0.0.0", "::", "127.0.0.1"}:  # noqa: S104
        return "localhost"
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main())
