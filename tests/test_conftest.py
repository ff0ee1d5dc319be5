"""The guards of the suite itself."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Any

import pytest
import uvloop

from tests.conftest import NetworkGuard, OutsideTrafficRefused
from tests.ordering import longest_first


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "localhost", ""]
)
def test_loopback_is_allowed(host: str):
    NetworkGuard().check((host, 80))


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "example.com", "::ffff:192.0.2.1", "fe80::1%eth0", "0.0.0.0"]
)
def test_outside_addresses_are_refused(host: str):
    with pytest.raises(OutsideTrafficRefused):
        NetworkGuard().check((host, 80))


def test_sockets_are_guarded(network_guard: NetworkGuard):
    with socket.socket() as tcp, pytest.raises(OutsideTrafficRefused):
        tcp.connect(("192.0.2.1", 80))
    with (
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        pytest.raises(OutsideTrafficRefused),
    ):
        udp.sendto(b"x", ("192.0.2.1", 53))
    assert network_guard.refused == ["192.0.2.1", "192.0.2.1"]
    network_guard.refused.clear()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_event_loops_are_guarded(network_guard: NetworkGuard, new_loop):
    async def connect():
        await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, "192.0.2.1", 80
        )

    with (
        asyncio.Runner(loop_factory=new_loop) as runner,
        pytest.raises(OutsideTrafficRefused),
    ):
        runner.run(connect())
    network_guard.refused.clear()


@pytest.mark.django_db
def test_database_is_postgresql():
    from django.db import connection

    assert connection.vendor == "postgresql"


@pytest.mark.django_db
def test_database_is_a_copy_of_what_the_migrations_make():
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    from tests.prepared import migrated_template

    executor = MigrationExecutor(connection)
    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []
    assert migrated_template(connection) == connection.settings_dict["TEST"]["TEMPLATE"]


@dataclass
class Item:
    """What the order looks at."""

    nodeid: str


def ordered(*nodeids: str, workers: int) -> list[str]:
    items: list[Any] = [Item(nodeid) for nodeid in nodeids]
    return [item.nodeid for item in longest_first(items, workers=workers)]


def test_each_worker_starts_with_long_tests():
    short = [f"tests/lib/test_a.py::{number}" for number in range(5)]
    flows = ["tests/flows/test_a.py::1", "tests/flows/test_b.py::1"]
    fault = "tests/faults/test_killed.py::1"
    access = "tests/access/test_matrix.py::1"

    found = ordered(access, fault, *flows, *short, workers=3)

    assert found[:3] == [fault, flows[1], short[0]]
    assert found[3:6] == [flows[0], *short[1:3]]
    assert found[6:] == [access, *short[3:]]


def test_order_loses_and_doubles_nothing():
    for workers in range(1, 6):
        for count in range(12):
            nodeids = [
                f"tests/{folder}/test_{count % 3}.py::{number}"
                for folder in ("access", "browser", "flows", "lib")
                for number in range(count)
            ]
            assert sorted(ordered(*nodeids, workers=workers)) == sorted(nodeids)


def test_one_worker_takes_the_tests_as_they_come():
    nodeids = ["tests/lib/test_a.py::1", "tests/flows/test_a.py::1"]

    assert ordered(*nodeids, workers=1) == nodeids
