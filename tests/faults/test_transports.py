"""Every transport against every fault: no page is lost, and the second one says what it is.

Whoever may have read a page gets it again as a reminder; whoever certainly has not, as
what it is. That a crash leads to the same is in `test_outbox`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from notifications.delivery import deliver_due
from notifications.models import Notification, Provider
from notifications.transports import api, apprise, http, smtp, twilio_sms
from tests.factories import make_address, make_channel
from tests.faults.faulty import Faulty, HttpHandler, MailHandler, faulty
from tests.notifications.making import (
    PHONE,
    make_message,
    make_notification,
    make_ovh,
    make_slack_channel,
    make_sms_channel,
    make_twilio,
    make_webhook_channel,
    outcomes,
    reread,
)

pytestmark = pytest.mark.django_db

# For an answer that never comes; the portal's own limits are 10 to 30 s.
SHORT_S = 0.8
NOBODY = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Way:
    """One transport: a page by it, and how to lead it to another server."""

    page: Callable[[datetime, str], Notification]
    lead_to: Callable[[Notification, str], None]


def _by_setting(name: str, settings: Any, make: Callable[[], dict[str, Any]]) -> Way:
    def lead_to(_page: Notification, url: str) -> None:
        setattr(settings, name, url)

    def page(now: datetime, url: str) -> Notification:
        setattr(settings, name, url)
        return make_notification(
            now=now, message=make_message(), lane=Notification.Lane.PAGING, **make()
        )

    return Way(page, lead_to)


def _by_channel(make: Callable[[str], Any]) -> Way:
    def lead_to(page: Notification, url: str) -> None:
        other, channel = make(url), page.channel
        assert channel is not None
        channel.address, channel.secret = other.address, other.secret
        channel.save()

    def page(now: datetime, url: str) -> Notification:
        return make_notification(
            now=now,
            message=make_message(),
            lane=Notification.Lane.PAGING,
            channel=make(url),
        )

    return Way(page, lead_to)


def _apprise_url(url: str) -> str:
    # Loading it takes a busy machine longer than a round waits.
    apprise._apprise()
    scheme, _, where = url.partition("://")
    return f"{'ntfys' if scheme == 'https' else 'ntfy'}://{where}/alerts?mode=private"


def _sms(make: Callable[..., Any]) -> dict[str, Any]:
    make()
    return {"channel": make_sms_channel()}


def _call() -> dict[str, Any]:
    make_twilio()
    return {"address": make_address(kind="phone", value=PHONE), "method": "voice"}


def _bot() -> dict[str, Any]:
    Provider.objects.create(
        kind="slack", name="Slack", secret="xoxb-1", second_secret="s", is_enabled=True
    )
    return {"channel": make_channel(kind="slack_bot", address="C0ALERTS")}


WAYS: dict[str, Callable[[Any], Way]] = {
    "slack webhook": lambda _: _by_channel(
        lambda url: make_slack_channel(f"{url}/services/T0/B0/secretSecret")
    ),
    "webhook": lambda _: _by_channel(lambda url: make_webhook_channel(f"{url}/hook")),
    "apprise": lambda _: _by_channel(
        lambda url: make_channel(kind="apprise", address="", secret=_apprise_url(url))
    ),
    "slack bot": lambda settings: _by_setting("SLACK_API_URL", settings, _bot),
    "twilio sms": lambda settings: _by_setting(
        "TWILIO_API_URL", settings, lambda: _sms(make_twilio)
    ),
    "twilio call": lambda settings: _by_setting("TWILIO_API_URL", settings, _call),
    "ovh": lambda settings: _by_setting(
        "OVH_API_URL", settings, lambda: _sms(make_ovh)
    ),
}
# The portal knows that these have told nobody; of the others it does not.
UNHEARD = ("refused", "no tls", "busy", "busy until", "broken")
UNKNOWN = ("slow", "trickling", "reset")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(twilio_sms, "_LISTED_AFTER_S", 0)
    settings.APPRISE_SCHEMES = ["ntfy", "ntfys"]


def be_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait no longer than a test can for an answer."""
    monkeypatch.setattr(smtp.submit, "__kwdefaults__", {"deadline_s": SHORT_S})
    for module, name in (
        (http, "DEADLINE_S"),
        (api, "DEADLINE_S"),
        (apprise, "_DEADLINE_S"),
    ):
        monkeypatch.setattr(module, name, SHORT_S)


@pytest.fixture
def provider() -> Iterator[Faulty]:
    with faulty(HttpHandler) as server:
        yield server


def is_reminder(said: str) -> bool:
    return "Reminder" in said


@pytest.mark.parametrize("fault", [*UNHEARD, *UNKNOWN])
@pytest.mark.parametrize("name", WAYS)
def test_page_through_a_fault_is_told_and_says_what_it_is(
    name, fault, provider, now, settings, monkeypatch
):
    good = f"http://127.0.0.1:{provider.port}"
    first = {"refused": NOBODY, "no tls": f"https://127.0.0.1:{provider.port}"}
    way = WAYS[name](settings)
    page = way.page(now, first.get(fault, good))
    if fault not in first:
        provider.faults.append(fault)
    with monkeypatch.context() as patched:
        if fault in {"slow", "trickling"}:
            be_impatient(patched)

        deliver_due(now=now)

    assert outcomes(page) == ["lost" if fault in UNKNOWN else "temporary"]
    waiting = reread(page)
    assert waiting.status == "queued"
    wait = waiting.next_attempt_at - now
    # As long as it is asked to; apprise does not hand on what it was asked.
    is_asked = fault in {"busy", "busy until"} and name != "apprise"
    assert wait < timedelta(seconds=130 if is_asked else 5)
    assert not is_asked or wait > timedelta(seconds=115)
    # Nobody hears what he knows.
    assert len(provider.heard) == (fault not in first)

    way.lead_to(waiting, good)
    deliver_due(now=now + timedelta(minutes=3))

    assert reread(page).status == "sent"
    assert is_reminder(provider.heard[-1]) == (fault in UNKNOWN)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("refused", "temporary"),
        ("no tls", "temporary"),
        ("busy", "temporary"),
        ("broken", "temporary"),
        ("slow", "lost"),
        ("trickling", "lost"),
        ("reset", "lost"),
    ],
)
def test_mail_through_a_fault_is_told_and_says_what_it_is(
    fault, outcome, now, settings, monkeypatch
):
    if fault in {"slow", "trickling"}:
        be_impatient(monkeypatch)
    page = make_notification(now=now, message=make_message(), lane=0)
    with faulty(MailHandler) as host:
        settings.EMAIL_HOST = "127.0.0.1"
        settings.EMAIL_PORT = 9 if fault == "refused" else host.port
        settings.EMAIL_USE_TLS = fault == "no tls"
        host.faults.append(fault)
        if fault in {"refused", "no tls"}:
            host.faults.clear()

        deliver_due(now=now)
        assert outcomes(page) == [outcome]
        settings.EMAIL_PORT, settings.EMAIL_USE_TLS = host.port, False
        deliver_due(now=reread(page).next_attempt_at)

        assert reread(page).status == "sent"
        assert is_reminder(host.heard[-1]) == (outcome == "lost")


def test_ten_phones_that_are_answered_slowly_take_no_longer_than_one(
    provider, now, settings, monkeypatch
):
    be_impatient(monkeypatch)
    settings.TWILIO_API_URL = f"http://127.0.0.1:{provider.port}"
    make_twilio()
    numbers = [f"+336123456{number}" for number in range(70, 80)]
    page = make_notification(now=now, channel=make_sms_channel(*numbers))
    provider.faults.extend(["slow"] * 10)

    deliver_due(now=now)

    (attempt,) = page.attempts.all()
    assert len(provider.heard) == 10
    # One after another it would be ten of them, and longer than a lease.
    assert attempt.duration_ms < 5 * SHORT_S * 1000
