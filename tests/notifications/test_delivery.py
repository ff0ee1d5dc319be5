"""The road of a message: claim, look again, send, record."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.utils import timezone

from notifications import claiming, services
from notifications.delivery import deliver_due, deliver_one, try_channel
from notifications.models import Attempt, Channel, ChannelState, Notification
from notifications.recording import Try, record
from notifications.tasks import deliver
from t4g_portal.lib.models import LoopCycle
from tests.factories import make_address, make_channel, make_user
from tests.notifications.making import (
    details,
    make_notification,
    make_slack_channel,
    make_webhook_channel,
    outcomes,
    reread,
)
from tests.notifications.servers import Answer

pytestmark = pytest.mark.django_db
Status = Notification.Status
Lane = Notification.Lane


def test_a_due_message_is_sent_once_and_its_receipt_kept(now, slack):
    row = make_notification(now=now, channel=make_slack_channel(slack.url))

    first = deliver_due(now=now)
    second = deliver_due(now=now)

    row = reread(row)
    assert (first.claimed, first.sent, second.claimed) == (1, 1, 0)
    assert len(slack.requests) == 1
    assert row.status == Status.SENT
    assert row.receipt == {"http_status": 200, "answer": "ok"}
    assert row.ended_at >= now
    assert row.lease_token is None
    assert outcomes(row) == ["sent"]
    state = ChannelState.objects.get(channel=row.channel)
    assert state.sent_at >= now
    assert state.error == ""


def test_a_personal_address_is_delivered_too(now, mail_host):
    address = make_address(value="ana@example.org")
    row = make_notification(now=now, address=address)

    deliver_due(now=now)

    assert reread(row).status == Status.SENT
    assert mail_host.mails[0]["To"] == "ana@example.org"
    assert ChannelState.objects.count() == 0


def test_what_is_not_due_yet_stays(now, slack):
    channel = make_slack_channel(slack.url)
    row = make_notification(
        now=now, channel=channel, not_before=now + timedelta(minutes=5)
    )

    assert deliver_due(now=now).claimed == 0
    assert deliver_due(now=now + timedelta(minutes=5)).sent == 1
    assert reread(row).status == Status.SENT


def test_a_temporary_failure_is_retried_under_the_same_key(now, receiver):
    receiver.answers.append(Answer(503, "busy"))
    row = make_notification(
        now=now, channel=make_webhook_channel(receiver.url), idempotency_key="same"
    )

    first = deliver_due(now=now)

    waiting = reread(row)
    assert (first.retried, first.sent) == (1, 0)
    assert waiting.status == Status.QUEUED
    assert timedelta(seconds=1) <= waiting.next_attempt_at - now < timedelta(seconds=5)
    state = ChannelState.objects.get(channel=row.channel)
    assert (state.error, state.sent_at) == ("HTTP 503: busy", None)

    deliver_due(now=waiting.next_attempt_at)

    assert reread(row).status == Status.SENT
    assert outcomes(row) == ["temporary", "sent"]
    assert [one.headers["webhook-id"] for one in receiver.requests] == ["same", "same"]
    state.refresh_from_db()
    assert state.error == ""
    assert state.failed_at is not None


def test_the_wait_that_the_receiver_asks_for_is_kept(now, receiver):
    receiver.answers.append(Answer(429, "", {"Retry-After": "120"}))
    row = make_notification(now=now, channel=make_webhook_channel(receiver.url))

    deliver_due(now=now)

    wait = reread(row).next_attempt_at - now
    assert timedelta(seconds=120) <= wait < timedelta(seconds=123)


def test_a_permanent_failure_is_a_dead_letter_at_once(now, slack):
    slack.answers.append(Answer(404, "no_service"))
    row = make_notification(now=now, channel=make_slack_channel(slack.url))

    result = deliver_due(now=now)

    row = reread(row)
    assert (result.dead, row.status) == (1, Status.DEAD)
    assert "no_service" in row.outcome
    assert outcomes(row) == ["permanent"]
    assert deliver_due(now=now + timedelta(days=1)).claimed == 0


def test_after_a_day_of_failures_a_message_is_given_up(now, slack):
    slack.answers.extend([Answer(500, "sick")] * 2)
    row = make_notification(now=now, channel=make_slack_channel(slack.url))

    deliver_due(now=now)
    deliver_due(now=now + timedelta(hours=24))

    row = reread(row)
    assert row.status == Status.DEAD
    assert row.outcome == "HTTP 500: sick"
    assert outcomes(row) == ["temporary", "temporary"]


def test_a_message_held_back_for_days_still_gets_its_day_of_tries(now, slack):
    slack.answers.append(Answer(500, "sick"))
    later = now + timedelta(days=3)
    row = make_notification(
        now=now, channel=make_slack_channel(slack.url), not_before=later
    )

    deliver_due(now=later)

    assert reread(row).status == Status.QUEUED


def test_a_retried_dead_letter_is_sent(now, slack):
    slack.answers.append(Answer(404, "no_service"))
    row = make_notification(now=now, channel=make_slack_channel(slack.url))
    deliver_due(now=now)

    services.retry(notification=row, now=now)
    deliver_due(now=now)

    assert reread(row).status == Status.SENT
    assert outcomes(row) == ["permanent", "sent"]


def test_a_cancelled_message_never_leaves(now, slack):
    row = make_notification(now=now, channel=make_slack_channel(slack.url))
    services.cancel(subject_key="incident:42", reason="acknowledged", now=now)

    assert deliver_due(now=now).claimed == 0
    assert reread(row).status == Status.CANCELLED
    assert slack.requests == []


def test_an_expired_message_never_leaves(now, slack):
    row = make_notification(
        now=now,
        channel=make_slack_channel(slack.url),
        expires_at=now + timedelta(minutes=1),
    )

    result = deliver_due(now=now + timedelta(minutes=1))

    row = reread(row)
    assert (result.cancelled, row.status) == (1, Status.CANCELLED)
    assert "expired" in row.outcome
    assert slack.requests == []


def test_a_channel_disabled_since_gets_nothing(now, slack):
    row = make_notification(now=now, channel=make_slack_channel(slack.url))
    Channel.objects.update(is_enabled=False)

    deliver_due(now=now)

    row = reread(row)
    assert (row.status, row.outcome) == (Status.CANCELLED, "The channel is disabled.")
    assert slack.requests == []


def test_a_crash_between_sending_and_recording_sends_again_under_the_same_key(
    now, receiver
):
    row = make_notification(
        now=now, channel=make_webhook_channel(receiver.url), idempotency_key="same"
    )
    # The process took it, and perhaps sent it, and was killed.
    assert claiming.claim_one(notification_id=row.pk, now=now) is not None

    assert deliver_due(now=now + timedelta(seconds=80)).claimed == 0
    deliver_due(now=now + timedelta(seconds=90))

    assert reread(row).status == Status.SENT
    assert outcomes(row) == ["lost", "sent"]
    lost = Attempt.objects.get(outcome="lost")
    assert lost.started_at == now
    assert receiver.requests[0].headers["webhook-id"] == "same"


def test_a_crash_during_a_send_that_was_cancelled_sends_nothing_more(now, slack):
    row = make_notification(now=now, channel=make_slack_channel(slack.url))
    claiming.claim_one(notification_id=row.pk, now=now)
    services.cancel(subject_key="incident:42", reason="acknowledged", now=now)

    deliver_due(now=now + timedelta(seconds=90))

    row = reread(row)
    assert (row.status, row.outcome) == (Status.CANCELLED, "acknowledged")
    assert outcomes(row) == ["lost"]
    assert slack.requests == []


def test_a_stored_message_that_nobody_understands_stops_only_itself(now, slack):
    poison = make_notification(now=now, channel=make_slack_channel(slack.url))
    Notification.objects.update(message={"version": 99})
    good = make_notification(now=now, channel=make_slack_channel(slack.url))

    deliver_due(now=now)

    assert reread(poison).status == Status.DEAD
    assert reread(good).status == Status.SENT


def test_a_secret_that_does_not_open_is_a_dead_letter_that_says_so(
    now, slack, settings
):
    row = make_notification(now=now, channel=make_slack_channel(slack.url))
    mail = make_notification(now=now)
    settings.PORTAL_DATA_KEYS = "new:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

    deliver_due(now=now)

    assert reread(row).status == Status.DEAD
    assert "can't be read" in reread(row).outcome
    assert reread(mail).status == Status.SENT


def test_without_a_mail_server_messages_are_kept(now, settings):
    settings.EMAIL_HOST = ""
    row = make_notification(now=now)

    deliver_due(now=now)

    row = reread(row)
    assert row.status == Status.SENT
    assert row.receipt["kept"] is True


def test_one_refused_recipient_is_noted_on_the_channel(now, mail_host):
    mail_host.replies["gone@example.org"] = "550 5.1.1 no such user"
    channel = make_channel(address="ana@example.org, gone@example.org")
    row = make_notification(now=now, channel=channel)

    deliver_due(now=now)

    assert reread(row).status == Status.SENT
    assert "gone@example.org" in reread(row).outcome
    assert "gone@example.org" in ChannelState.objects.get(channel=channel).error


def test_a_round_stops_at_its_limit(now, slack):
    for _ in range(3):
        make_notification(now=now, channel=make_slack_channel(slack.url))

    assert deliver_due(now=now, limit=2).claimed == 2
    assert deliver_due(now=now, limit=2).claimed == 1


def test_a_late_result_keeps_its_attempt_and_changes_nothing_else(now, slack):
    row = make_notification(now=now, channel=make_slack_channel(slack.url))
    slow = claiming.claim_one(notification_id=row.pk, now=now)
    later = now + timedelta(seconds=100)
    deliver_due(now=later)
    assert slow is not None

    ending = record(
        claim=slow,
        result=Try(
            started_at=now, duration_ms=95_000, outcome=Attempt.Outcome.TEMPORARY
        ),
        now=later,
    )

    assert ending is None
    assert reread(row).status == Status.SENT
    assert outcomes(row) == ["lost", "sent", "temporary"]


def test_a_test_message_is_sent_at_once_and_tried_once(now, slack):
    channel = make_slack_channel(slack.url, is_enabled=False)
    user = make_user(username="ana")

    sent = try_channel(channel=channel, now=now, requested_by=user)

    assert sent.status == Status.SENT
    assert "ana" in slack.requests[0].body.decode()

    slack.answers.append(Answer(500, "sick"))
    failed = try_channel(channel=channel, now=now, requested_by=user)

    assert (failed.status, failed.outcome) == (Status.DEAD, "HTTP 500: sick")


def test_sending_one_that_has_ended_does_nothing(now, slack):
    row = make_notification(now=now, channel=make_slack_channel(slack.url))
    deliver_due(now=now)

    assert deliver_one(notification=row, now=now).status == Status.SENT
    assert len(slack.requests) == 1


def test_a_test_whose_process_died_is_sent_by_the_worker(now, slack):
    services.send_test(
        channel=make_slack_channel(slack.url), now=now, requested_by=make_user()
    )

    assert deliver_due(now=now).claimed == 0
    assert deliver_due(now=now + timedelta(minutes=1)).sent == 1


def test_secrets_appear_in_no_attempt_log_state_or_receipt(now, slack, caplog):
    caplog.set_level(logging.DEBUG)
    for answer in (
        Answer(500, f"POST {slack.url} failed"),
        Answer(404, f"no_service {slack.url}"),
        Answer(200, f"ok {slack.url}"),
    ):
        slack.answers.append(answer)
        make_notification(now=now, channel=make_slack_channel(slack.url))
    deliver_due(now=now)
    unreachable = make_slack_channel("http://127.0.0.1:1/services/x/canaryCanary9")
    make_notification(now=now, channel=unreachable)
    deliver_due(now=now)

    stored = [
        *Attempt.objects.values_list("detail", flat=True),
        *Notification.objects.values_list("outcome", flat=True),
        *ChannelState.objects.values_list("error", flat=True),
        *(str(one) for one in Notification.objects.values_list("receipt", "message")),
    ]
    assert "canary" not in " ".join(stored).lower()
    assert "canary" not in caplog.text.lower()
    assert len(slack.requests) == 3


def test_our_own_mistake_is_retried_logged_and_leaks_nothing(
    now, slack, caplog, monkeypatch
):
    def broken(message):
        raise RuntimeError(f"can't build for {slack.url}")

    monkeypatch.setattr("notifications.transports.slack.payload", broken)
    row = make_notification(now=now, channel=make_slack_channel(slack.url))

    deliver_due(now=now)

    assert reread(row).status == Status.QUEUED
    assert details(row) == ["The portal failed to send it (RuntimeError). See the log."]
    assert "can't build for" in caplog.text
    assert "canary" not in caplog.text.lower()


def test_the_task_notes_that_its_loop_came_round(slack):
    row = make_notification(now=timezone.now(), channel=make_slack_channel(slack.url))

    deliver()

    assert reread(row).status == Status.SENT
    assert LoopCycle.objects.get(name="notifications.deliver").bound_s == 30


def test_claiming_costs_one_query_and_an_idle_round_too(now, django_assert_num_queries):
    for _ in range(5):
        make_notification(now=now)

    with django_assert_num_queries(1):
        claiming.claim_due(now=now, free_slots={5: 5}, at_most=10)
    with django_assert_num_queries(1):
        deliver_due(now=now)
