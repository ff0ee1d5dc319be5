"""What every test stands on: the embedded PostgreSQL, one clock and no outside world."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from tests.ordering import longest_first

# How long a case takes says nothing on a busy machine; speed is measured in bench/.
hypothesis_settings.register_profile("portal", deadline=None)
hypothesis_settings.load_profile("portal")


class OutsideTrafficRefused(RuntimeError):
    """A test tried to reach a host that is not this one."""


class NetworkGuard:
    """Refuses outside addresses and remembers them, in case the code hid the refusal."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def check(self, address: Any, *, family: int = socket.AF_INET) -> None:
        """Raise OutsideTrafficRefused unless `address` is on this machine."""
        if family not in {socket.AF_INET, socket.AF_INET6}:
            return
        host = address[0] if isinstance(address, tuple) else address
        if _is_loopback(host):
            return
        self.refused.append(str(host))
        raise OutsideTrafficRefused(
            f"A test tried to reach {address!r}. Tests talk to loopback only: start a "
            "server on 127.0.0.1 that speaks the real protocol."
        )


def _is_loopback(host: object) -> bool:
    # asyncio takes None and the empty string for "this machine".
    if host in {None, "", "localhost"}:
        return True
    try:
        found = ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def _guarded(guard: NetworkGuard, name: str) -> Callable[..., Any]:
    original = getattr(socket.socket, name)

    def call(self: socket.socket, *args: Any) -> Any:
        # sendto(data[, flags], address); sendmsg(buffers[, ancdata, flags, address])
        if name in {"connect", "connect_ex", "sendto"} or (
            len(args) == 4 and args[-1] is not None
        ):
            guard.check(args[-1], family=self.family)
        return original(self, *args)

    return call


def _guarded_uvloop(guard: NetworkGuard, original: Callable[..., Any]) -> Any:
    """uvloop connects in C, where no patched socket sees it."""

    async def create(
        self: Any, factory: Any, host: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        if kwargs.get("sock") is None:
            guard.check(host)
        return await original(self, factory, host, *args, **kwargs)

    return create


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Let the longest tests start first."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = longest_first(items, workers=workers)


@pytest.fixture(autouse=True)
def network_guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[NetworkGuard]:
    """Refuse every connection and datagram that leaves this machine."""
    import uvloop

    guard = NetworkGuard()
    for name in ("connect", "connect_ex", "sendto", "sendmsg"):
        monkeypatch.setattr(socket.socket, name, _guarded(guard, name))
    monkeypatch.setattr(
        uvloop.Loop,
        "create_connection",
        _guarded_uvloop(guard, uvloop.Loop.create_connection),
    )
    yield guard
    assert not guard.refused, f"outside traffic was tried: {guard.refused}"


@pytest.fixture
def now() -> datetime:
    """A fixed moment: a Monday morning, in no time zone's change of hours."""
    return datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings: None, django_db_blocker: Any
) -> None:
    """Copy the test database from a migrated one."""
    from django.db import connection

    from tests.prepared import migrated_template

    with django_db_blocker.unblock():
        template = migrated_template(connection)
    connection.settings_dict["TEST"]["TEMPLATE"] = template


@pytest.fixture(scope="session", autouse=True)
def cheap_flush() -> Iterator[None]:
    """Empty what a test has committed without the two seconds that Django's flush takes."""
    from django.db import connection
    from django.test import TransactionTestCase

    from tests.prepared import empty_database

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            TransactionTestCase,
            "_fixture_teardown",
            lambda self: empty_database(connection),
        )
        yield
