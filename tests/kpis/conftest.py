"""A real PostgreSQL of somebody else's, for those who read from one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpis.sources import registry
from tests.kpis.backends import Backend
from tests.kpis.business import Business, make_business
from tests.monitors.conftest import authority, postgres_server, trusted

if TYPE_CHECKING:
    from tests.monitors.conftest import PostgresServer

__all__ = ["authority", "postgres_server", "trusted"]


@pytest.fixture(scope="session")
def business(postgres_server: PostgresServer) -> Business:
    """The guide's four tables, with a reader as our documentation makes it."""
    return make_business(
        port=postgres_server.port,
        owner=postgres_server.user,
        owner_password=postgres_server.password,
    )


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    found = Backend()
    for kind, can_look_back in (("postgres", True), ("http", False)):
        monkeypatch.setitem(
            registry.KINDS,
            kind,
            registry.Kind(kind, found.read, can_look_back, ()),
        )
    monkeypatch.setattr("kpis.sources.checking.demand_safe", lambda **_: None)
    return found
