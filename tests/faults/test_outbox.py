"""kill -9 between any two statements of paging: no page is lost, none comes after an
acknowledgement, and what comes twice says that it is a reminder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from incidents import services
from incidents.advancing import advance_due
from incidents.models import Incident, PriorityRule
from notifications.delivery import deliver_due
from notifications.models import Notification
from tests.factories import (
    make_address,
    make_policy,
    make_priority_rules,
    make_user,
)
from tests.incidents.making import make_incident, outbox, pages_of, reread
from tests.notifications.making import make_webhook_channel, outcomes
from tests.notifications.servers import Receiver, running

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
Status = Notification.Status


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running(Receiver("/hooks/portal")) as server:
        yield server


def dies_at(point: str) -> None:
    """Let a process work on the test's database until it dies."""
    database = str(connection.settings_dict["NAME"])
    url = urlsplit(settings.DATABASE_URL)._replace(path=f"/{database}").geturl()
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.dying", point],
        env={
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "t4g_portal.settings_test",
        },
        timeout=60,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL


def page_of(
    heard: Receiver, *, age: timedelta = timedelta(seconds=1), **values: Any
) -> tuple[Incident, Notification]:
    """A P0 whose page waits in the outbox; after five minutes it is paged again."""
    make_priority_rules(make_webhook_channel(heard.url))
    incident = make_incident(now=timezone.now() - age, **values)
    (page,) = outbox("page")
    return incident, page


def go_on(page: Notification) -> None:
    """Deliver as the next worker does once the dead one's lease has ended."""
    page.refresh_from_db()
    deliver_due(now=page.lease_until or timezone.now())
    page.refresh_from_db()


def marks(heard: Receiver) -> list[str]:
    return [request.json["data"]["mark"] for request in heard.requests]


@pytest.mark.parametrize(
    ("point", "before", "in_all"),
    [
        ("claimed", 0, 1),
        ("looked-again", 0, 1),
        ("sent", 1, 2),
        ("recording", 1, 2),
        ("recorded", 1, 1),
    ],
)
def test_sender_that_dies_loses_no_page(receiver, point, before, in_all):
    _incident, page = page_of(receiver)

    dies_at(point)
    assert len(receiver.requests) == before
    go_on(page)

    assert page.status == Status.SENT
    assert len(receiver.requests) == in_all
    # The same key lets the receiver drop what it has.
    assert {request.headers["webhook-id"] for request in receiver.requests} == {
        page.idempotency_key
    }
    if point != "recorded":
        assert outcomes(page) == ["lost", "sent"]
    # What may have arrived already says so.
    is_told_twice = in_all == 2
    assert [bool(mark) for mark in marks(receiver)][1:] == [True] * is_told_twice


@pytest.mark.parametrize("point", ["claimed", "looked-again", "sent", "recording"])
def test_nothing_leaves_after_an_acknowledgement_whoever_died_before(
    receiver,
    point,
):
    incident, page = page_of(receiver)
    dies_at(point)
    heard = len(receiver.requests)

    services.acknowledge(
        incident_id=incident.pk, user=make_user(), via="web", now=timezone.now()
    )
    go_on(page)

    assert len(receiver.requests) == heard
    assert page.status == Status.CANCELLED


def test_page_that_a_deadlock_held_up_leaves_a_second_later_as_what_it_is(
    receiver, monkeypatch
):
    _incident, page = page_of(receiver)
    now = timezone.now()
    with monkeypatch.context() as patched:
        patched.setattr("notifications.letters.held", _deadlocked)
        deliver_due(now=now)
    assert (receiver.requests, outcomes(page)) == ([], [])

    deliver_due(now=now + timedelta(seconds=2))

    assert (outcomes(page), marks(receiver)) == (["sent"], [""])


def _deadlocked(**_values: Any) -> Any:
    raise OperationalError("deadlock detected")


def test_page_to_somebody_who_was_deleted_meanwhile_goes_to_others(receiver):
    make_priority_rules(make_webhook_channel(receiver.url))
    address = make_address()
    policy = make_policy({"contacts": [address.contact]})
    PriorityRule.objects.filter(priority="p0").update(policy=policy)
    now = timezone.now()
    incident = make_incident(now=now)
    address.contact.delete()

    deliver_due(now=now)
    advance_due(now=now + MINUTE)
    deliver_due(now=now + MINUTE)

    pages = [row.status for row in pages_of(incident)]
    assert pages == [Status.CANCELLED, Status.SENT]
    # The other one says that the policy reaches nobody any more.
    assert len(receiver.requests) == 2


def test_engine_that_dies_within_a_step_has_not_taken_it(receiver):
    incident, _page = page_of(receiver, age=6 * MINUTE)

    dies_at("stepping")
    assert len(outbox("page")) == 1
    advance_due(now=timezone.now())
    advance_due(now=timezone.now())

    assert [row.idempotency_key.split(":")[3] for row in outbox("page")] == ["0", "1"]
    assert reread(incident).escalation_count == 2


def test_engine_that_dies_between_two_incidents_takes_each_step_once(receiver):
    one, _page = page_of(receiver, age=6 * MINUTE)
    other = make_incident(now=timezone.now() - 6 * MINUTE)

    dies_at("stepped")
    taken = sum(reread(row).escalation_count == 2 for row in (one, other))
    advance_due(now=timezone.now())

    # They advance in one transaction: both or none.
    assert taken in {0, 2}
    assert [reread(row).escalation_count for row in (one, other)] == [2, 2]
    keys = [row.idempotency_key for row in outbox("page")]
    assert len(keys) == len(set(keys)) == 4
