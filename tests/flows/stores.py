"""A PostgreSQL reached over TCP with a password and a Redis, as production has them."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import psycopg
from redis import Redis as RedisClient
from redis.exceptions import RedisError

from bench.portal import free_port
from t4g_portal.embedded_files import (
    account_for,
    bundled_programs,
    make_reachable,
    make_readable,
)
from tests.flows.portals import until

# The older server of the wheel: the embedded database is the newer one, and the
# portal promises to run on both.
_PROGRAMS = bundled_programs().parent.with_name("pginstall") / "bin"
_WAL_SEGMENT_BYTES = 2**20


class Postgres:
    """A server of its own in `directory`, stopped and frozen as a test likes."""

    def __init__(self, directory: Path) -> None:
        self.password = secrets.token_hex(12)
        self.port = free_port()
        self.pgdata = directory / "pg"
        self.log = directory / "pg.log"
        self._account = account_for(self.pgdata)
        self._process: subprocess.Popen[bytes] | None = None
        make_readable(_PROGRAMS.parent, account=self._account)
        for folder in (_PROGRAMS, directory):
            make_reachable(folder, account=self._account)
        self._make()
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://portal:{self.password}@127.0.0.1:{self.port}/portal"

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        with self.log.open("ab") as log:
            self._process = self._popen(
                [
                    *["postgres", "-D", str(self.pgdata), "-p", str(self.port)],
                    *["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
                    *["-c", "unix_socket_directories=", "-c", "min_wal_size=32MB"],
                ],
                stdout=log,
                stderr=log,
            )
        until(self.is_answering, seconds=60, what="PostgreSQL to answer")

    def is_answering(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop_immediately(self) -> None:
        """End as in a crash: no checkpoint, connections cut."""
        self._signal_and_wait(signal.SIGQUIT)

    def stop(self) -> None:
        self.thaw()
        self._signal_and_wait(signal.SIGINT)

    def fill_disk(self) -> None:
        """Leave no table room to grow; `free_disk` ends it."""
        if not self._has_own_disk:
            self._limit_files(_WAL_SEGMENT_BYTES)
            return
        with self._filler.open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(4096))

    def free_disk(self) -> None:
        if not self._has_own_disk:
            self._limit_files(None)
            return
        self._filler.unlink()

    @property
    def _has_own_disk(self) -> bool:
        return self.pgdata.parent.is_mount()

    @property
    def _filler(self) -> Path:
        return self.pgdata.parent / "filler"

    def _limit_files(self, size_bytes: int | None) -> None:
        """Where no disk may be mounted: files can't grow past a size (None: any)."""
        # The second round finds what the postmaster forked during the first.
        for process in chain.from_iterable(self._family() for _ in range(2)):
            with suppress(psutil.NoSuchProcess):
                _, hard = process.rlimit(psutil.RLIMIT_FSIZE)
                limit = hard if size_bytes is None else size_bytes
                process.rlimit(psutil.RLIMIT_FSIZE, (limit, hard))

    def freeze(self) -> None:
        """Answer nobody any more, and refuse nobody either."""
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _family(self) -> list[psutil.Process]:
        if self._process is None or self._process.poll() is not None:
            return []
        postmaster = psutil.Process(self._process.pid)
        return [postmaster, *postmaster.children()]

    def _signal_and_wait(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(30)

    def _make(self) -> None:
        self.pgdata.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(self.pgdata, self._account.uid, self._account.gid)
        with tempfile.NamedTemporaryFile("w", dir=self.pgdata.parent) as password:
            password.write(self.password)
            password.flush()
            if self._account is not None:
                os.chown(password.name, self._account.uid, self._account.gid)
            made = self._popen(
                [
                    *["initdb", "-D", str(self.pgdata), "-U", "portal", "-N"],
                    *["--auth=scram-sha-256", f"--pwfile={password.name}"],
                    *["--encoding=UTF8", "--locale=C"],
                    f"--wal-segsize={_WAL_SEGMENT_BYTES // 2**20}",
                ],
                stdout=subprocess.DEVNULL,
            )
            assert made.wait(60) == 0
        single = self._popen(
            ["postgres", "--single", "-D", str(self.pgdata), "-F", "postgres"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        single.communicate(b"CREATE DATABASE portal\n", timeout=60)
        assert single.returncode == 0

    def _popen(self, argv: list[str], **options: Any) -> subprocess.Popen[bytes]:
        account = self._account
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [str(_PROGRAMS / argv[0]), *argv[1:]],
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            **options,
        )
        return process


class Redis:
    """A server of its own in `directory` that keeps what it was told, as compose's."""

    def __init__(self, directory: Path) -> None:
        self.password = secrets.token_hex(12)
        self.port = free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def client(self) -> RedisClient:
        return RedisClient(port=self.port, password=self.password)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._process = subprocess.Popen(
            [
                *["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"],
                *["--dir", str(self._directory), "--appendonly", "yes"],
                *["--maxmemory-policy", "noeviction", "--requirepass", self.password],
            ],
            stdout=subprocess.DEVNULL,
        )
        until(self._is_answering, seconds=30, what="Redis to answer")

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _is_answering(self) -> bool:
        with self.client() as client, suppress(RedisError):
            return bool(client.ping())
        return False


@contextmanager
def stores(directory: Path) -> Iterator[tuple[Postgres, Redis]]:
    """Both servers in `directory`, ended afterwards in whatever state they are."""
    with _small_disk(directory / "disk") as disk:
        postgres = Postgres(disk)
        try:
            redis = Redis(directory)
            try:
                yield postgres, redis
            finally:
                redis.kill()
        finally:
            postgres.stop()


@contextmanager
def _small_disk(path: Path) -> Iterator[Path]:
    """A file system of its own where we may mount one, else a directory."""
    path.mkdir()
    options = ["-t", "tmpfs", "-o", "size=192m,mode=755", "tmpfs", str(path)]
    mounting = subprocess.run(["mount", *options], capture_output=True, check=False)
    try:
        yield path
    finally:
        if mounting.returncode == 0:
            subprocess.run(["umount", str(path)], check=True)
