"""Processes that stand still, or are asked to end, in the middle of a page."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings as portal_settings
from django.db import connection
from django.utils import timezone

from incidents import services
from incidents.advancing import advance_due
from notifications import delivery, tasks
from notifications.claiming import LEASE, LONGEST_SEND, claim_due
from notifications.delivery import deliver_due
from notifications.letters import Letter, prepare, send
from notifications.models import Notification
from notifications.recording import record
from tests.factories import make_channel, make_priority_rules, make_user
from tests.flows.portals import until
from tests.incidents.making import make_incident, outbox
from tests.notifications.making import (
    make_notification,
    make_webhook_channel,
    outcomes,
    reread,
)
from tests.notifications.servers import Answer, Receiver, running

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running(Receiver("/hooks/portal")) as server:
        yield server


def looked_at(page: Notification, *, now: datetime, after: timedelta) -> Letter:
    """Claim a page, and look a while later whether it is still wanted."""
    (claim,) = claim_due(now=now, free_slots={0: 1}, at_most=1)
    assert claim.notification_id == page.pk
    letter = prepare(claim=claim, now=now + after)
    assert isinstance(letter, Letter)
    return letter


def test_page_is_not_sent_by_who_stood_still_while_it_was_acknowledged(now, receiver):
    make_priority_rules(make_webhook_channel(receiver.url))
    incident = make_incident(now=now)
    (page,) = outbox("page")
    letter = looked_at(page, now=now, after=timedelta(0))
    services.acknowledge(incident_id=incident.pk, user=make_user(), via="web", now=now)

    later = now + timedelta(seconds=6)
    result = send(letter=letter, clock=lambda: later)
    record(claim=letter.claim, result=result, now=later)

    assert receiver.requests == []
    assert reread(page).status == "cancelled"


def test_page_is_not_begun_so_late_that_somebody_else_may_begin_it_too(now, receiver):
    page = make_notification(
        now=now, channel=make_webhook_channel(receiver.url), lane=0
    )
    waited = LEASE - LONGEST_SEND + timedelta(seconds=1)
    letter = looked_at(page, now=now, after=waited)

    result = send(letter=letter, clock=lambda: now + waited)
    record(claim=letter.claim, result=result, now=now + waited)

    assert receiver.requests == []
    assert (reread(page).status, outcomes(page)) == ("queued", ["temporary"])
    deliver_due(now=reread(page).next_attempt_at)
    # It was never under way: no reminder.
    assert [one.json["data"]["mark"] for one in receiver.requests] == [""]


def test_incident_that_a_standing_process_holds_is_free_within_a_minute(now):
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("1min",)
    make_priority_rules(make_channel())
    make_incident(now=now - timedelta(minutes=6))
    with _session() as other:
        # As all of ours, only sooner.
        other.execute("SET idle_in_transaction_session_timeout = 300")
        other.execute("SELECT 1 FROM incidents_incident FOR UPDATE")
        assert advance_due(now=now) == 0

        assert until(lambda: advance_due(now=now), seconds=10, what="the lock to end")
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            other.execute("SELECT 1")


@contextlib.contextmanager
def _session() -> Iterator[psycopg.Connection[Any]]:
    other = psycopg.connect(_database_url())
    try:
        yield other
    finally:
        other.close()


def _database_url() -> str:
    database = str(connection.settings_dict["NAME"])
    found = urlsplit(portal_settings.DATABASE_URL)._replace(path=f"/{database}")
    return found.geturl()


def test_worker_that_is_to_end_takes_nothing_more(now, receiver, monkeypatch):
    monkeypatch.setattr(delivery, "_is_stopping", threading.Event())
    page = make_notification(now=now, channel=make_webhook_channel(receiver.url))

    tasks._stop_delivering()
    deliver_due(now=now)

    assert reread(page).status == "queued"
    assert receiver.requests == []


def test_worker_that_is_told_to_end_finishes_the_page_that_it_is_sending(
    receiver, tmp_path: Path
):
    gate = threading.Event()
    receiver.answers.append(Answer(gate=gate))
    page = make_notification(
        now=timezone.now(), channel=make_webhook_channel(receiver.url), lane=0
    )
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.dying", "told-to-end"],
        env={
            **os.environ,
            "DATABASE_URL": _database_url(),
            "DJANGO_SETTINGS_MODULE": "t4g_portal.settings_test",
        },
    )
    try:
        assert receiver.arrived.wait(60)
        # A round leaves it to its thread after 3 s.
        threading.Timer(4.5, gate.set).start()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=60) == 0
    finally:
        worker.kill()

    assert (reread(page).status, outcomes(page)) == ("sent", ["sent"])
