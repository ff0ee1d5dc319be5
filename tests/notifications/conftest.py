"""Receivers that every test of this room may use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.factories import make_user
from tests.notifications.servers import MailHost, Receiver, Slack, running
from tests.notifications.vendors import Ovh, Twilio, standing_in

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
def twilio(settings: Any) -> Iterator[Twilio]:
    with standing_in(Twilio()) as vendor:
        settings.TWILIO_API_URL = vendor.url
        yield vendor


@pytest.fixture
def ovh(settings: Any) -> Iterator[Ovh]:
    # Ahead of us, so that only their own clock will do.
    with standing_in(Ovh(skew_s=5400)) as vendor:
        settings.OVH_API_URL = vendor.api_url
        yield vendor


@pytest.fixture
def admin(client: Any) -> Any:
    """A browser in which an administrator is signed in."""
    client.force_login(make_user(is_superuser=True))
    return client
