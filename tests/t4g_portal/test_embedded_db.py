"""The embedded PostgreSQL, with real servers on real directories."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from t4g_portal.embedded_db import EmbeddedDatabase, _is_database_needless
from t4g_portal.embedded_files import (
    SOCKET_PATH_LIMIT_BYTES,
    UnableToUseDatabase,
    read_postmaster,
)

# Becomes a user, says who serves it, and stays until its standard input ends.
USER = """
import sys
from pathlib import Path
from t4g_portal import embedded_db
from t4g_portal.embedded_files import read_postmaster
data_dir = Path(sys.argv[1])
embedded_db.ensure_running(data_dir=data_dir, is_fast=True)
print(read_postmaster(data_dir / "pg").pid, flush=True)
sys.stdin.read()
"""


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def start_user(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end_user(user: subprocess.Popen[str]) -> None:
    user.communicate(timeout=20)


def server_pid(database: EmbeddedDatabase) -> int:
    postmaster = read_postmaster(database.pgdata)
    assert postmaster is not None
    return postmaster.pid


def is_gone(pid: int) -> bool:
    # A server started by a process that has ended waits for init to reap it.
    return (
        not psutil.pid_exists(pid)
        or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    )


def run_sql(database: EmbeddedDatabase, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database.url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[EmbeddedDatabase]:
    database = EmbeddedDatabase(data_dir=tmp_path / "data", is_fast=True)
    yield database
    database.release()
    database.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished cluster to copy, which is quicker than making one for each test."""
    database = EmbeddedDatabase(data_dir=tmp_path_factory.mktemp("made"), is_fast=True)
    database.acquire()
    database.release()
    return database.pgdata


@pytest.fixture
def database(empty: EmbeddedDatabase, cluster: Path) -> EmbeddedDatabase:
    empty.data_dir.mkdir()
    subprocess.run(["cp", "-a", cluster, empty.pgdata], check=True)
    return empty


def test_empty_directory_becomes_a_private_database(empty: EmbeddedDatabase):
    empty.acquire()

    assert run_sql(empty, "SELECT current_database(), current_user") == [
        ("portal", "portal")
    ]
    assert run_sql(empty, "SHOW listen_addresses") == [("",)]
    assert run_sql(empty, "SHOW timezone") == [("UTC",)]
    assert empty.socket_dir.stat().st_mode & 0o777 == 0o700


def test_durability_is_given_up_for_tests_only(database: EmbeddedDatabase):
    database.acquire()
    assert run_sql(database, "SHOW fsync") == [("off",)]

    durable = EmbeddedDatabase(data_dir=database.data_dir, is_fast=False)
    assert not [option for option in durable.command() if "fsync" in option]


def test_second_start_keeps_data(database: EmbeddedDatabase):
    database.acquire()
    run_sql(database, "CREATE TABLE kept AS SELECT 7 AS n")
    first_pid = server_pid(database)
    database.release()
    assert is_gone(first_pid)

    database.acquire()

    assert run_sql(database, "SELECT n FROM kept") == [(7,)]


def test_last_of_two_users_stops_the_server(database: EmbeddedDatabase):
    database.acquire()
    pid = server_pid(database)
    other = start_user(database.data_dir)
    assert other.stdout is not None
    assert int(other.stdout.readline()) == pid

    database.release()
    assert run_sql(database, "SELECT 1") == [(1,)]
    end_user(other)

    assert is_gone(pid)


def test_killed_user_no_longer_counts(database: EmbeddedDatabase):
    other = start_user(database.data_dir)
    assert other.stdout is not None
    pid = int(other.stdout.readline())
    other.kill()
    end_user(other)
    assert not is_gone(pid)

    database.acquire()
    assert server_pid(database) == pid
    database.release()

    assert is_gone(pid)


def test_racing_processes_share_one_server(empty: EmbeddedDatabase):
    users = [start_user(empty.data_dir) for _ in range(3)]
    pids = {user.stdout.readline() for user in users if user.stdout is not None}
    for user in users:
        end_user(user)

    assert len(pids) == 1
    assert is_gone(int(pids.pop()))


def test_killed_server_is_replaced_and_keeps_data(database: EmbeddedDatabase):
    database.is_fast = False
    database.acquire()
    run_sql(database, "CREATE TABLE kept AS SELECT 7 AS n")
    pid = server_pid(database)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_gone(pid))

    database.acquire()

    assert server_pid(database) != pid
    assert run_sql(database, "SELECT n FROM kept") == [(7,)]


@pytest.mark.parametrize("first_line", ["another process", "", "4194304", "nonsense"])
def test_stale_pid_file_does_not_prevent_a_start(
    database: EmbeddedDatabase, first_line: str
):
    database.acquire()
    pid_file = database.pgdata / "postmaster.pid"
    content = pid_file.read_text()
    database.release()
    _, _, rest = content.partition("\n")
    if first_line == "another process":
        first_line = str(os.getpid())
    pid_file.write_text(f"{first_line}\n{rest}" if first_line else "")

    database.acquire()

    assert run_sql(database, "SELECT 1") == [(1,)]


def test_half_made_cluster_is_made_again(empty: EmbeddedDatabase):
    draft = empty.data_dir / "pg.draft"
    (draft / "base").mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")

    empty.acquire()

    assert run_sql(empty, "SELECT 1") == [(1,)]
    assert not draft.exists()


def test_deep_directory_gets_a_short_socket(tmp_path: Path):
    deep = tmp_path / ("deep" * 20) / ("+ %é?&" * 4)
    database = EmbeddedDatabase(data_dir=deep, is_fast=True)
    database.acquire()
    try:
        socket = next(database.socket_dir.glob(".s.PGSQL.*"))
        assert len(os.fsencode(socket)) <= SOCKET_PATH_LIMIT_BYTES
        assert database.socket_dir.stat().st_mode & 0o777 == 0o700
        assert run_sql(database, "SELECT 1") == [(1,)]
    finally:
        database.release()


def test_directories_are_served_side_by_side(
    database: EmbeddedDatabase, tmp_path: Path
):
    other = EmbeddedDatabase(data_dir=tmp_path / "odd + %é?& name", is_fast=True)
    database.acquire()
    other.acquire()
    try:
        run_sql(other, "CREATE TABLE only_here ()")
        assert run_sql(database, "SELECT to_regclass('only_here')") == [(None,)]
    finally:
        other.release()


def test_socket_directory_of_somebody_else_is_refused(
    database: EmbeddedDatabase, tmp_path: Path
):
    (database.data_dir / "pg.sock").symlink_to(tmp_path)

    with pytest.raises(UnableToUseDatabase, match="is not ours"):
        database.acquire()


def test_cluster_of_another_version_is_refused(database: EmbeddedDatabase):
    (database.pgdata / "PG_VERSION").write_text("15\n")

    with pytest.raises(UnableToUseDatabase, match="PostgreSQL 15"):
        database.acquire()


def test_settings_url_is_understood_by_django(database: EmbeddedDatabase):
    import environ

    database.acquire()
    config = environ.Env().db_url_config(database.url)

    assert config["OPTIONS"]["host"] == str(database.socket_dir)
    assert (config["NAME"], config["USER"]) == ("portal", "portal")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["manage.py", "run"], True),
        (["/portal/manage.py", "collectstatic", "--noinput"], True),
        (["manage.py"], True),
        (["manage.py", "migrate"], False),
        (["manage.py", "shell"], False),
        (["/venv/bin/celery", "-A", "t4g_portal", "worker"], False),
        (["/venv/bin/pytest", "run"], False),
    ],
)
def test_only_some_commands_do_without_a_database(arguments: list[str], expected: bool):
    assert _is_database_needless(arguments) is expected
