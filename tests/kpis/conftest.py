"""A real PostgreSQL of somebody else's, for those who read from one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

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
    for kind in ("postgres", "http"):
        own = replace(registry.KINDS[kind], read=found.read)
        monkeypatch.setitem(cast("dict[str, Any]", registry.KINDS), kind, own)
    monkeypatch.setattr("kpis.sources.checking.demand_safe", lambda **_: None)
    return found
