"""What `make run` runs: the portal's programs, handed to the supervisor.

It reads the settings, then replaces itself: the longest-lived process needs neither
them nor Django, and stays the smallest one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from t4g_portal.embedded_db import EmbeddedDatabase
from t4g_portal.supervisor import ChildSpec, Supervisor

BASE_DIR = Path(__file__).resolve().parent.parent
# After a kill -9 the former web process needs a moment to let go of the port.
PORT_PATIENCE_S = 3.0
# More than there are loops, each of which runs once at a time: however many of them hang
# on other people's servers, a page waits for none. A thread begins when it is needed.
WORKER_THREADS = 32


class UnableToRun(Exception):
    """The portal can't start; the text says why and what to do."""


@dataclass(frozen=True)
class Plan:
    """What the settings say about this copy."""

    data_dir: str
    host: str
    port: int
    has_own_database: bool
    has_own_broker: bool
    is_demo: bool = False


def main() -> int:
    """Run the portal until it is told to stop; the exit code of the process."""
    try:
        if len(sys.argv) < 2:
            plan = json.dumps(asdict(_read_plan()))
            # The programs are modules, found from where the code is.
            os.chdir(BASE_DIR)
            program = [sys.executable, "-m", "t4g_portal.launcher", plan]
            os.execv(program[0], program)  # noqa: S606
        return _run(Plan(**json.loads(sys.argv[1])))
    except (UnableToRun, ImproperlyConfigured) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _read_plan() -> Plan:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "t4g_portal.settings")
    from django.conf import settings

    return Plan(
        data_dir=str(settings.DATA_DIR),
        host=os.environ.get("HOST", "") or "127.0.0.1",
        port=settings.PORT,
        has_own_database=not os.environ.get("DATABASE_URL"),
        has_own_broker=not settings.REDIS_URL,
        is_demo=settings.PORTAL_DEMO,
    )


def _run(plan: Plan) -> int:
    with _only_copy(Path(plan.data_dir)) as was_killed:
        patience_s = PORT_PATIENCE_S if was_killed else 0.0
        _check_port(plan.host, plan.port, patience_s=patience_s)
        return _supervisor(plan).run()


def _supervisor(plan: Plan) -> Supervisor:
    children = []
    environment = {
        "PORTAL_DATA_DIR": plan.data_dir,
        "PORT": str(plan.port),
        "PYTHONUNBUFFERED": "1",
        # Threads would otherwise reserve an arena of memory for each core.
        "MALLOC_ARENA_MAX": "2",
    }
    if plan.has_own_database:
        database = EmbeddedDatabase(data_dir=Path(plan.data_dir))
        environment["DATABASE_URL"] = database.url
        children.append(
            ChildSpec(name="postgres", spawn=database.take_over, is_foundation=True)
        )
    if plan.has_own_broker:
        _clear_ticks(Path(plan.data_dir) / "broker")
    python = [sys.executable]
    programs = {
        "web": [*python, *web_program(host=plan.host, port=plan.port)],
        "worker": [
            # In a container we are root; only JSON is accepted, so nothing is at stake.
            *[*python, "-W", "ignore:You're running the worker with superuser"],
            *["-m", "celery", "--quiet", "-A", "t4g_portal"],
            *["worker", "--pool=threads", f"--concurrency={WORKER_THREADS}"],
            *["--queues=probes,paging,housekeeping", "--loglevel=WARNING"],
            *["--without-gossip", "--without-mingle", "--without-heartbeat"],
        ],
        "beat": [*python, "-m", "t4g_portal.beat"],
    }
    if plan.is_demo:
        programs["platform"] = [*python, "-m", "t4g_portal.demo.platform"]
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
        is_up=lambda: _answers(plan.host, plan.port),
        greeting=f"The portal is at http://{_printable(plan.host)}:{plan.port}/"
        "  (Ctrl-C stops it)",
    )


def web_program(*, host: str, port: int) -> list[str]:
    """Return what Python runs to serve the portal at an address."""
    return [
        *["-m", "granian", "--interface", "wsgi", "--no-ws"],
        *["--host", host, "--port", str(port), "--http", "1"],
        *["--workers", "1", "--blocking-threads", "4"],
        # A thread that ends takes its database connection along.
        *["--blocking-threads-idle-timeout", "600"],
        *["--respawn-failed-workers", "--no-access-log"],
        *["--log-level", "warning"],
        "t4g_portal.wsgi:application",
    ]


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
    for path in (broker / "queue").glob("*"):
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
