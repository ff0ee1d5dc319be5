"""What stands before and around the supervisor: one copy, a free port, PostgreSQL."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from bench.portal import workplace
from t4g_portal import launcher
from t4g_portal.embedded_db import EmbeddedDatabase
from t4g_portal.embedded_files import read_postmaster

# The machine of the tests may be busy.
PATIENCE_S = 120.0

# The real database under the supervisor, with a service that does nothing.
WITH_DATABASE = """
import sys
from pathlib import Path
from t4g_portal.embedded_db import EmbeddedDatabase
from t4g_portal.supervisor import ChildSpec, Supervisor
database = EmbeddedDatabase(data_dir=Path(sys.argv[1]), is_fast=True)
sleep = "import time; print('up', flush=True); time.sleep(600)"
sys.exit(Supervisor(children=[
    ChildSpec(name="postgres", spawn=database.take_over, is_foundation=True),
    ChildSpec(name="web", argv=[sys.executable, "-c", sleep]),
]).run())
"""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def launch(data_dir: Path, *, port: int) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PORTAL_DATA_DIR": str(data_dir),
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "DJANGO_SETTINGS_MODULE": "t4g_portal.settings",
        "PORT": str(port),
    }
    return subprocess.run(
        [sys.executable, "-m", "t4g_portal.launcher"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_second_copy_says_who_holds_the_directory(tmp_path: Path, free_port: int):
    with (tmp_path / "run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711\n")
        lock.flush()

        result = launch(tmp_path, port=free_port)

    assert result.returncode == 1
    assert "already runs" in result.stderr
    assert "kill 4711" in result.stderr
    assert "Traceback" not in result.stderr


def test_taken_port_is_named(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        result = launch(tmp_path, port=port)

    assert result.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in result.stderr
    assert f"PORT={port + 1} make run" in result.stderr
    assert (tmp_path / "run.lock").read_text() == ""


def test_former_run_that_was_killed_may_still_let_go_of_the_port(free_port: int):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", free_port)))
        signal.signal(signal.SIGALRM, lambda *_: server.close())
        signal.setitimer(signal.ITIMER_REAL, 0.1)

        launcher._check_port("127.0.0.1", free_port, patience_s=3.0)


def test_last_run_that_was_killed_is_noticed(tmp_path: Path):
    with launcher._only_copy(tmp_path) as was_killed:
        assert not was_killed
    with launcher._only_copy(tmp_path) as was_killed:
        assert not was_killed

    (tmp_path / "run.lock").write_text("4711\n")

    with launcher._only_copy(tmp_path) as was_killed:
        assert was_killed


def test_ticks_of_the_last_run_are_dropped(tmp_path: Path):
    for name in ("queue/1.probes.msg", "queue/2.paging.msg.taken"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")

    launcher._clear_ticks(tmp_path)

    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == []


class Portal:
    """A supervisor with a real database."""

    def __init__(self, data_dir: Path) -> None:
        self.database = EmbeddedDatabase(data_dir=data_dir, is_fast=True)
        self.process = subprocess.Popen(
            [sys.executable, "-c", WITH_DATABASE, str(data_dir)],
            stdout=subprocess.PIPE,
            text=True,
        )

    def server(self) -> psutil.Process | None:
        postmaster = read_postmaster(self.database.pgdata)
        if postmaster is None or not postmaster.is_ready or not postmaster.is_alive():
            return None
        return psutil.Process(postmaster.pid)

    def wait_for_server(self, *, other_than: int = 0) -> psutil.Process:
        found: list[psutil.Process] = []

        def is_there() -> bool:
            server = self.server()
            if server is not None and server.pid != other_than:
                found.append(server)
            return bool(found)

        wait_until(is_there)
        return found[0]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that PostgreSQL's account may pass.

    Not `tmp_path`: every pytest that starts locks its parent up again.
    """
    with workplace() as directory:
        yield directory


@pytest.fixture
def portal(place: Path) -> Iterator[Portal]:
    portal = Portal(place / "data")
    yield portal
    everybody: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        everybody = psutil.Process(portal.process.pid).children(recursive=True)
    portal.process.kill()
    portal.process.communicate()
    portal.database.stop()
    # One that still writes would keep the directory from being removed.
    psutil.wait_procs(everybody, timeout=PATIENCE_S)


def test_database_lives_and_ends_with_the_supervisor(portal: Portal):
    server = portal.wait_for_server()
    assert server.ppid() == portal.process.pid
    with psycopg.connect(portal.database.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    everybody = psutil.Process(portal.process.pid).children(recursive=True)

    portal.process.terminate()

    assert portal.process.wait(timeout=PATIENCE_S) == 0
    assert len(everybody) > 4
    assert not any(p.is_running() for p in everybody)
    assert "database system is shut down" in portal.database.log_path.read_text()


def test_killed_database_comes_back(portal: Portal):
    server = portal.wait_for_server()
    server.kill()

    other = portal.wait_for_server(other_than=server.pid)

    assert other.ppid() == portal.process.pid
    with psycopg.connect(portal.database.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_killed_supervisor_leaves_no_database(portal: Portal):
    server = portal.wait_for_server()

    portal.process.kill()

    wait_until(
        lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
    )


def test_stop_while_the_cluster_is_made_leaves_nothing(portal: Portal):
    wait_until((portal.database.data_dir / "pg.draft").exists)
    everybody = psutil.Process(portal.process.pid).children(recursive=True)

    portal.process.terminate()

    assert portal.process.wait(timeout=PATIENCE_S) == 0
    wait_until(lambda: not any(p.is_running() for p in everybody))
    portal.database.acquire()
    portal.database.release()


def test_server_of_another_command_is_taken_over(place: Path):
    other = EmbeddedDatabase(data_dir=place / "data", is_fast=True)
    other.acquire()
    first = read_postmaster(other.pgdata)
    assert first is not None
    portal = Portal(place / "data")
    try:
        server = portal.wait_for_server(other_than=first.pid)
        assert server.ppid() == portal.process.pid
        other.release()
        assert server.is_running()
    finally:
        portal.process.terminate()
        portal.process.communicate(timeout=PATIENCE_S)


def test_whole_portal_starts_answers_and_starts_again(place: Path, free_port: int):
    environment = {
        **os.environ,
        "PORTAL_DATA_DIR": str(place / "data"),
        "PORTAL_ENV_FILE": os.devnull,
        "PORTAL_DB_FAST": "1",
        # The guide's monitors would be probed out there.
        "PORTAL_SEED": "false",
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "HOST": "127.0.0.1",
        "PORT": str(free_port),
        # Uncompressed static files: the real ones take seconds to make.
        "DJANGO_SETTINGS_MODULE": "t4g_portal.settings_test",
    }

    def run_once(*program: str) -> tuple[str, list[psutil.Process]]:
        with (place / "output").open("w+") as output:
            process = subprocess.Popen(
                [sys.executable, *program],
                env=environment,
                stdout=output,
                stderr=output,
            )
            try:
                wait_until(lambda: has_ended(process) or (has_greeted() and answers()))
                assert not has_ended(process), (place / "output").read_text()
                everybody = psutil.Process(process.pid).children(recursive=True)
            finally:
                process.terminate()
                exit_code = process.wait(timeout=PATIENCE_S)
            assert exit_code == 0
            output.seek(0)
            return output.read(), everybody

    def has_ended(process: subprocess.Popen[bytes]) -> bool:
        return process.poll() is not None

    def has_greeted() -> bool:
        # Its own look at the web server may come a moment after ours.
        return "The portal is at" in (place / "output").read_text()

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/health") as page:
                return bool(page.status == 200)
        except OSError:
            return False

    first, everybody = run_once("manage.py", "run")
    second, _ = run_once("-m", "t4g_portal.launcher")

    assert re.search(r"password {2,}\S+", first), first
    assert f"http://localhost:{free_port}/" in first
    assert not any(p.is_running() for p in everybody)
    assert "password" not in second, second
    assert "Migrating" not in second


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "localhost"), ("::1", "[::1]"), ("portal.test", "portal.test")],
)
def test_address_can_be_clicked(host: str, expected: str):
    assert re.fullmatch(re.escape(expected), launcher._printable(host))
