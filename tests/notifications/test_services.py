"""The doors to the outbox."""

from __future__ import annotations

from datetime import timedelta

import pytest
from celery import current_app
from django.db import IntegrityError, connection, transaction

from notifications import claiming, services, wakeup
from notifications.models import Attempt, Channel, Notification
from notifications.services import UnableToEnqueue, UnableToRetry
from tests.factories import make_address, make_channel, make_contact, make_user
from tests.notifications.making import (
    make_message,
    make_notification,
    make_slack_channel,
    make_webhook_channel,
    reread,
)

pytestmark = pytest.mark.django_db
Status = Notification.Status


def test_a_known_key_writes_nothing_and_returns_the_row(now):
    first = make_notification(now=now, idempotency_key="once")

    second = make_notification(
        now=now, idempotency_key="once", message=make_message(title="Other")
    )

    assert second.pk == first.pk
    assert second.message["title"] == "Backend is down"
    assert Notification.objects.count() == 1


def test_a_known_key_is_found_even_when_the_channel_was_disabled_since(now):
    channel = make_channel()
    first = make_notification(now=now, channel=channel, idempotency_key="once")
    Channel.objects.update(is_enabled=False)
    channel.refresh_from_db()

    again = make_notification(now=now, channel=channel, idempotency_key="once")

    assert again.pk == first.pk


def test_the_row_shares_the_fate_of_the_callers_transaction(now):
    channel = make_channel()

    with transaction.atomic():
        make_notification(now=now, channel=channel)
        transaction.set_rollback(True)

    assert Notification.objects.count() == 0


@pytest.mark.parametrize(
    "values",
    [
        {"is_enabled": False},
        {"address": ""},
        {"kind": "slack", "address": "", "secret": ""},
        {"kind": "webhook", "address": "https://x.example", "secret": ""},
        {"kind": "pigeon"},
    ],
)
def test_a_channel_that_cannot_send_is_refused(now, values):
    channel = make_channel(**values)

    with pytest.raises(UnableToEnqueue):
        make_notification(now=now, channel=channel)

    assert Notification.objects.count() == 0


def test_a_disabled_person_or_address_is_refused(now):
    away = make_address(contact=make_contact(is_enabled=False))
    old = make_address(is_enabled=False)
    phone = make_address(kind="phone", value="+33612345678")

    unproved = make_address(is_verified=False)

    for address in (away, old, phone, unproved):
        with pytest.raises(UnableToEnqueue):
            make_notification(now=now, address=address)


@pytest.mark.parametrize("key", ["", "with space", "line\nbreak", "é", "x" * 201])
def test_a_key_that_is_no_header_value_is_refused(now, key):
    with pytest.raises(ValueError, match="idempotency key"):
        make_notification(now=now, idempotency_key=key)


def test_one_destination_and_a_known_lane_are_needed(now):
    with pytest.raises(ValueError, match="one channel or one address"):
        make_notification(now=now, channel=make_channel(), address=make_address())
    with pytest.raises(ValueError, match="4"):
        make_notification(now=now, lane=4)


def test_usable_channels_agree_with_what_enqueue_takes(now):
    channels = [
        make_channel(),
        make_channel(is_enabled=False),
        make_channel(address=""),
        make_slack_channel("https://hooks.slack.com/services/T/B/x"),
        make_slack_channel(""),
        make_webhook_channel("https://x.example"),
        make_webhook_channel("https://x.example", secret=""),
        make_channel(kind="pigeon"),
        make_channel(kind="slack_bot", address="C0ALERTS"),
        make_channel(kind="sms", address="+33612345678"),
    ]

    usable = set(services.usable_channels(Channel.objects.all()))

    for channel in channels:
        try:
            make_notification(now=now, channel=channel)
            is_taken = True
        except UnableToEnqueue:
            is_taken = False
        assert is_taken is (channel in usable), channel.kind
    assert len(usable) == 3


def test_a_secret_that_no_longer_opens_does_not_stop_anybody_from_being_told(
    now, settings
):
    make_slack_channel("https://hooks.slack.com/services/T/B/x")
    make_channel()
    settings.PORTAL_DATA_KEYS = "new:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

    for channel in services.usable_channels(Channel.objects.all()):
        make_notification(now=now, channel=channel)

    assert Notification.objects.count() == 2


def test_cancelling_ends_what_waits_and_flags_what_is_being_sent(now):
    waiting = make_notification(now=now)
    in_flight = make_notification(now=now, idempotency_key="in-flight")
    other = make_notification(now=now, subject_key="incident:43")
    claim = claiming.claim_one(notification_id=in_flight.pk, now=now)

    count = services.cancel(
        subject_key="incident:42", reason="acknowledged by Ana", now=now
    )

    assert count == 2
    assert claim is not None
    cancelled, flagged = reread(waiting), reread(in_flight)
    assert cancelled.status == Status.CANCELLED
    assert cancelled.outcome == "acknowledged by Ana"
    assert cancelled.ended_at == now
    assert flagged.status == Status.SENDING
    assert flagged.cancel_requested_at == now
    assert flagged.ended_at is None
    assert reread(other).status == Status.QUEUED


def test_cancelling_may_be_limited_to_purposes_and_happens_once(now):
    page = make_notification(now=now, purpose="page")
    recovery = make_notification(now=now, purpose="recovery")

    def cancel():
        return services.cancel(
            subject_key="incident:42", reason="why", now=now, purposes=["page"]
        )

    assert cancel() == 1
    assert cancel() == 0
    assert reread(page).status == Status.CANCELLED
    assert reread(recovery).status == Status.QUEUED


def test_what_was_sent_is_not_cancelled(now):
    sent = make_notification(now=now)
    Notification.objects.update(status=Status.SENT, ended_at=now)

    assert services.cancel(subject_key="incident:42", reason="x", now=now) == 0
    assert reread(sent).status == Status.SENT


def test_told_are_those_who_got_it_get_it_or_perhaps_got_it(now):
    got, gets, perhaps, waits, never = (make_channel() for _ in range(5))
    person = make_address()
    for channel, status in (
        (got, Status.SENT),
        (gets, Status.SENDING),
        (perhaps, Status.CANCELLED),
        (waits, Status.QUEUED),
        (never, Status.DEAD),
    ):
        row = make_notification(now=now, channel=channel)
        Notification.objects.filter(pk=row.pk).update(status=status)
        if channel == perhaps:
            Attempt.objects.create(notification=row, started_at=now, outcome="lost")
    for key in ("a", "b"):
        make_notification(now=now, address=person, idempotency_key=key)
    Notification.objects.filter(address=person).update(status=Status.SENT)

    told = services.told_destinations(subject_key="incident:42", purposes=["page"])

    assert told == [(got, None), (gets, None), (perhaps, None), (None, person)]
    assert (
        services.told_destinations(subject_key="incident:42", purposes=["other"]) == []
    )


def test_who_was_told_but_can_no_longer_be_told_is_left_out(now):
    channel = make_channel()
    make_notification(now=now, channel=channel)
    Notification.objects.update(status=Status.SENT)
    Channel.objects.update(is_enabled=False)

    told = services.told_destinations(subject_key="incident:42", purposes=["page"])

    assert told == []


def test_a_dead_letter_can_be_queued_again_for_another_day(now):
    row = make_notification(now=now, expires_at=now + timedelta(hours=1))
    Notification.objects.update(status=Status.DEAD, ended_at=now, outcome="HTTP 404")
    later = now + timedelta(days=3)

    services.retry(notification=row, now=later)

    row = reread(row)
    assert (row.status, row.next_attempt_at) == (Status.QUEUED, later)
    assert row.give_up_at == later + timedelta(hours=24)
    assert (row.outcome, row.ended_at, row.expires_at) == ("", None, None)


@pytest.mark.parametrize("status", ["queued", "sending", "sent", "cancelled"])
def test_only_a_dead_letter_can_be_retried(now, status):
    row = make_notification(now=now)
    Notification.objects.update(status=status)

    with pytest.raises(UnableToRetry):
        services.retry(notification=row, now=now)


def test_a_dead_letter_that_nobody_wants_any_more_stays_dead(now):
    row = make_notification(now=now, subject_key="incident:1")
    Notification.objects.update(status=Status.DEAD, ended_at=now, outcome="HTTP 404")
    services.cancel(subject_key="incident:1", reason="acknowledged", now=now)

    with pytest.raises(UnableToRetry):
        services.retry(notification=row, now=now)

    assert (reread(row).status, reread(row).outcome) == (Status.DEAD, "HTTP 404")


def test_a_test_works_on_a_disabled_channel_but_not_on_an_empty_one(now):
    user = make_user()
    disabled = make_channel(is_enabled=False)

    row = services.send_test(channel=disabled, now=now, requested_by=user)

    assert row.purpose == "test"
    assert row.next_attempt_at > now
    with pytest.raises(UnableToEnqueue, match="not configured"):
        services.send_test(channel=make_channel(address=""), now=now, requested_by=user)


def test_old_ended_rows_go_in_batches_and_unsent_ones_stay(now):
    long_ago = now - timedelta(days=500)
    rows = [make_notification(now=long_ago) for _ in range(8)]
    for row, status in zip(
        rows,
        ["sent", "dead", "cancelled", "sent", "sent", "queued", "sending", "sent"],
        strict=True,
    ):
        Notification.objects.filter(pk=row.pk).update(status=status, ended_at=long_ago)
    Notification.objects.filter(status__in=["queued", "sending"]).update(ended_at=None)
    Notification.objects.filter(pk=rows[7].pk).update(ended_at=now)
    Attempt.objects.create(notification=rows[0], started_at=long_ago, outcome="sent")

    count = services.delete_ended(before=now - timedelta(days=400), batch_size=2)

    assert count == 5
    assert set(Notification.objects.all()) == set(rows[5:])
    assert Attempt.objects.count() == 0


def test_one_transaction_asks_for_one_wake_up(now, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        for _ in range(3):
            make_notification(now=now)

    assert len(callbacks) == 1


def test_what_is_not_due_yet_asks_for_none(now, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        make_notification(now=now, not_before=now + timedelta(minutes=5))

    assert callbacks == []


def test_a_broker_that_is_down_fails_nobody_and_is_left_alone_for_a_while(
    now, django_capture_on_commit_callbacks, caplog, monkeypatch
):
    monkeypatch.setattr(wakeup, "_paused_until", 0.0)
    broken = current_app.connection_for_write("redis://127.0.0.1:1/0")
    monkeypatch.setattr(current_app, "connection_for_write", lambda *_, **__: broken)

    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            make_notification(now=now)

    assert caplog.text.count("no wake-up sent") == 1
    assert Notification.objects.count() == 2


def test_the_outbox_refuses_a_row_with_two_destinations(now):
    """One without any is what a deleted address leaves behind."""
    row = make_notification(now=now)
    with pytest.raises(IntegrityError), transaction.atomic():
        Notification.objects.filter(pk=row.pk).update(address=make_address())
    assert connection.is_usable()
