"""Two hundred monitors go down at once: one incident, a handful of messages.

Through the real road, from results to other people's services on loopback, without a
portal that runs: the clock is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from incidents import advancing, services
from incidents.models import Alert, Incident, PriorityRule
from monitors import recording, watching
from monitors.history import partitions
from monitors.models import Monitor, Threshold
from notifications.delivery import deliver_due
from notifications.models import Provider
from tests.factories import (
    make_address,
    make_channel,
    make_contact,
    make_monitor,
    make_policy,
    make_service,
    make_user,
)
from tests.monitors.test_recording import failed, passed
from tests.notifications.making import PHONE, make_twilio
from tests.notifications.servers import MailHost, SlackApi, running
from tests.notifications.vendors import Twilio, standing_in

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
COUNT = 200
# As the engine writes them: results come in small batches.
BATCH = 50


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def slack(settings: Any) -> Iterator[SlackApi]:
    api = SlackApi()
    settings.SLACK_API_URL = api.url
    Provider.objects.create(
        name="Slack app",
        kind="slack",
        is_enabled=True,
        secret=api.token,
        second_secret=api.signing_secret,
    )
    with running(api):
        yield api


@pytest.fixture
def twilio(settings: Any) -> Iterator[Twilio]:
    with standing_in(Twilio()) as vendor:
        settings.TWILIO_API_URL = vendor.url
        make_twilio()
        yield vendor


@pytest.fixture
def mail_host(settings: Any) -> Iterator[MailHost]:
    host = MailHost()
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", host.port
    settings.EMAIL_USE_TLS = False
    yield host
    host.stop()


def make_watched(now: datetime, *, count: int, service_count: int) -> list[Monitor]:
    """Monitors that are up, spread over some services."""
    owners = [make_service(name=f"Service {n}") for n in range(service_count)]
    monitors = [
        make_monitor(
            name=f"Monitor {n}",
            service=owners[n % service_count],
            interval_s=60,
            retry_interval_s=20,
        )
        for n in range(count)
    ]
    watching.admit_new(now=now)
    return monitors


def make_road(now: datetime, *, priority: str) -> None:
    """Whatever goes down tells #token4good-alerts and Ana, who has a phone and a mailbox."""
    partitions.ensure(now=now)
    ana = make_contact(name="Ana", language="en")
    make_address(contact=ana, kind="phone", value=PHONE)
    make_address(contact=ana, kind="email", value="ana@token4good.com")
    channel = make_channel(kind="slack_bot", address="C0ALERTS", language="en")
    step = {"channels": [channel], "contacts": [ana], "repeat_s": 300}
    PriorityRule.objects.create(
        priority=priority, response_s=300, policy=make_policy(step, name="All")
    )
    Threshold.objects.create(name="Down", measure="down", critical_priority=priority)


def tell(monitors: list[Monitor], moment: datetime, *, is_up: bool) -> None:
    """Record a result of each monitor, with the senders at work meanwhile."""
    make = passed if is_up else failed
    for start in range(0, len(monitors), BATCH):
        findings = [make(one, moment) for one in monitors[start : start + BATCH]]
        recording.record(findings=findings, now=moment)
        deliver_due(now=moment)


def test_two_hundred_down_at_once_are_one_incident_and_a_handful_of_messages(
    now, slack, twilio, mail_host
):
    monitors = make_watched(now, count=COUNT, service_count=1)
    make_road(now, priority="p0")
    tell(monitors, now, is_up=True)

    for seconds in (20, 40, 60):
        tell(monitors, now + timedelta(seconds=seconds), is_up=False)

    incident = Incident.objects.get()
    assert Alert.objects.filter(status="firing").count() == COUNT
    # What rings: a line in the channel, an SMS, a mail.
    rung = (len(slack.tops("C0ALERTS")), len(twilio.messages), len(mail_host.mails))
    assert rung == (1, 1, 1)
    # What follows quietly: the thread, and edits that say how many there are.
    assert slack.calls.count("chat.postMessage") == 2
    assert slack.calls.count("chat.update") <= 8

    services.acknowledge(
        incident_id=incident.pk,
        user=make_user(),
        via="web",
        now=now + 2 * MINUTE,
    )
    for number in (3, 8):
        advancing.advance_due(now=now + number * MINUTE)
        deliver_due(now=now + number * MINUTE)
    assert len(twilio.messages) == 1

    for seconds in (20, 40):
        tell(monitors, now + 9 * MINUTE + timedelta(seconds=seconds), is_up=True)
    deliver_due(now=now + 10 * MINUTE)

    incident.refresh_from_db()
    assert incident.status == Incident.Status.RESOLVED
    # Who was told hears once that it is over, by the calmest way.
    rung = (len(slack.tops("C0ALERTS")), len(twilio.messages), len(mail_host.mails))
    assert rung == (1, 1, 2)
    assert "Over" in slack.tops("C0ALERTS")[0]["text"]
    assert slack.calls.count("chat.update") <= 16


def test_a_storm_over_forty_services_reaches_a_person_in_a_handful_of_mails(
    now, slack, mail_host
):
    monitors = make_watched(now, count=40, service_count=40)
    make_road(now, priority="p1")
    tell(monitors, now, is_up=True)

    for seconds in (20, 40, 60):
        tell(monitors, now + timedelta(seconds=seconds), is_up=False)
    deliver_due(now=now + 3 * MINUTE)
    deliver_due(now=now + 5 * MINUTE)

    assert Incident.objects.count() == 40
    assert len(mail_host.mails) == 6
    texts = [mail.get_body(("plain",)).get_content() for mail in mail_host.mails]
    assert "34 more" in texts[-1]
