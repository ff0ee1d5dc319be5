"""Receivers that every test of this room may use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.factories import make_user
from tests.notifications.servers import MailHost, Receiver, Slack, running

SECRET_PATH = "/services/T0CANARY1/B0CANARY2/canaryCanaryCanary3"


@pytest.fixture
def slack() -> Iterator[Any]:
    with running(Slack(SECRET_PATH)) as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running(Receiver("/hooks/portal")) as server:
        yield server


@pytest.fixture
def mail_host(settings: Any) -> Iterator[MailHost]:
    host = MailHost()
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = host.port
    settings.EMAIL_USE_TLS = False
    yield host
    host.stop()


@pytest.fixture
def admin(client: Any) -> Any:
    """A browser in which an administrator is signed in."""
    client.force_login(make_user(is_superuser=True))
    return client
