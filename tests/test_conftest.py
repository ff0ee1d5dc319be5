"""The guards of the suite itself."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop

from tests.conftest import NetworkGuard, OutsideTrafficRefused


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
