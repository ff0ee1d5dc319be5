"""Delivery with real concurrency: several senders, real processes, real commits."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import OperationalError, connection, connections

from notifications import delivery, services
from notifications.claiming import claim_due
from notifications.delivery import deliver_due
from notifications.models import Notification
from tests.factories import make_channel
from tests.notifications.making import (
    make_message,
    make_notification,
    make_slack_channel,
    make_webhook_channel,
    outcomes,
    reread,
)
from tests.notifications.servers import Answer

pytestmark = pytest.mark.django_db(transaction=True)
Status = Notification.Status


@contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """Run something beside the test, on a connection of its own; joined at the end."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    yield thread
    thread.join(30)
    assert not thread.is_alive()


def until(condition: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(1500):
        if condition():
            return
        tick.wait(0.01)
    pytest.fail("it did not happen within 15 s")


def test_many_senders_at_once_send_every_message_once_and_threads_in_order(
    now, receiver
):
    channels = [make_webhook_channel(f"{receiver.url}/{n}") for n in range(6)]
    for number in range(60):
        make_notification(
            now=now,
            channel=channels[number % 6],
            idempotency_key=f"key:{number:02}",
            message=make_message(thread_key="t" if number % 2 else ""),
        )
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        deliver_due(now=now)

    with in_thread(work), in_thread(work), in_thread(work):
        work()

    keys = [one.headers["webhook-id"] for one in receiver.requests]
    assert sorted(keys) == [f"key:{number:02}" for number in range(60)]
    assert set(Notification.objects.values_list("status", flat=True)) == {"sent"}
    for path in {one.path for one in receiver.requests}:
        in_thread_order = [
            one.headers["webhook-id"]
            for one in receiver.requests
            if one.path == path and one.json["data"]["thread_key"]
        ]
        assert in_thread_order == sorted(in_thread_order)


def test_no_row_is_claimed_twice_however_many_ask(now):
    for _ in range(150):
        make_notification(now=now)
    start = threading.Barrier(4)
    claimed: list[int] = []

    def work() -> None:
        start.wait()
        while claims := claim_due(now=now, free_slots={5: 2}, at_most=2):
            claimed.extend(claim.notification_id for claim in claims)

    with in_thread(work), in_thread(work), in_thread(work):
        work()

    assert sorted(claimed) == sorted(Notification.objects.values_list("pk", flat=True))


@pytest.mark.parametrize(
    ("answer", "ending"),
    [(Answer(200), Status.SENT), (Answer(503, "busy"), Status.CANCELLED)],
)
def test_a_message_cancelled_while_it_is_sent_keeps_the_truth(
    now, slack, answer, ending
):
    answer.gate = threading.Event()
    slack.answers.append(answer)
    row = make_notification(now=now, channel=make_slack_channel(slack.url))

    with in_thread(lambda: deliver_due(now=now)):
        slack.arrived.wait(10)
        services.cancel(subject_key="incident:42", reason="acknowledged", now=now)
        assert reread(row).status == Status.SENDING
        answer.gate.set()

    row = reread(row)
    assert row.status == ending
    assert "acknowledged" in row.outcome
    assert row.ended_at is not None
    assert deliver_due(now=now + timedelta(days=1)).claimed == 0
    assert len(slack.requests) == 1


def test_a_sender_that_a_round_has_left_records_for_itself(now, slack, monkeypatch):
    monkeypatch.setattr(delivery, "_PATIENCE_S", 0.3)
    gate = threading.Event()
    slack.answers.append(Answer(200, gate=gate))
    row = make_notification(now=now, channel=make_slack_channel(slack.url))

    result = deliver_due(now=now)

    assert (result.left, result.sent) == (1, 0)
    assert reread(row).status == Status.SENDING
    gate.set()
    until(lambda: reread(row).status == Status.SENT)
    until(lambda: open_connections() == 1)
    assert outcomes(row) == ["sent"]


def open_connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        )
        return int(cursor.fetchone()[0])


def test_what_was_sent_is_recorded_through_a_lost_database_connection(now, slack):
    gate = threading.Event()
    slack.answers.append(Answer(200, gate=gate))
    row = make_notification(now=now, channel=make_slack_channel(slack.url))

    def deliver() -> None:
        # The round ends when it was about to claim; what it has sent goes on.
        with suppress(OperationalError):
            deliver_due(now=now)

    with in_thread(deliver):
        slack.arrived.wait(10)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        gate.set()

    until(lambda: reread(row).status == Status.SENT)
    assert outcomes(row) == ["sent"]
    assert len(slack.requests) == 1


DELIVER = """
import django
django.setup()
from django.utils import timezone
from notifications.delivery import deliver_due
deliver_due(now=timezone.now())
"""


def start_delivering_process() -> subprocess.Popen[bytes]:
    database = str(connection.settings_dict["NAME"])
    url = urlsplit(settings.DATABASE_URL)._replace(path=f"/{database}").geturl()
    return subprocess.Popen(
        [sys.executable, "-c", DELIVER],
        env={
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "t4g_portal.settings_test",
        },
    )


def test_a_killed_process_loses_no_message_and_the_receiver_can_tell(now, receiver):
    gate = threading.Event()
    receiver.answers.append(Answer(200, gate=gate))
    row = make_notification(
        now=now, channel=make_webhook_channel(receiver.url), idempotency_key="same"
    )
    process = start_delivering_process()
    try:
        assert receiver.arrived.wait(30)
    finally:
        process.kill()
        process.wait()
        gate.set()

    taken = reread(row)
    assert taken.status == Status.SENDING
    assert taken.lease_until is not None
    assert deliver_due(now=taken.lease_until - timedelta(seconds=1)).claimed == 0
    deliver_due(now=taken.lease_until)

    assert reread(row).status == Status.SENT
    assert outcomes(row) == ["lost", "sent"]
    keys = [one.headers["webhook-id"] for one in receiver.requests]
    assert keys == ["same", "same"]


def test_two_transactions_with_one_key_write_one_row(now):
    channel = make_channel()
    start = threading.Barrier(2)
    found: list[int] = []

    def work() -> None:
        start.wait()
        row = make_notification(now=now, channel=channel, idempotency_key="once")
        found.append(row.pk)

    with in_thread(work):
        work()

    assert len(set(found)) == 1
    assert Notification.objects.count() == 1


def test_cancelling_races_with_delivery_without_losing_a_row(now, receiver):
    for number in range(30):
        make_notification(
            now=now,
            channel=make_webhook_channel(f"{receiver.url}/{number}"),
            idempotency_key=f"key:{number}",
        )

    with in_thread(lambda: deliver_due(now=now)):
        receiver.arrived.wait(10)
        services.cancel(subject_key="incident:42", reason="acknowledged", now=now)

    sent = {one.headers["webhook-id"] for one in receiver.requests}
    for row in Notification.objects.all():
        expected = Status.SENT if row.idempotency_key in sent else Status.CANCELLED
        assert row.status == expected
