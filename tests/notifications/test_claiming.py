"""Who is served when: threads in order, lanes apart, slow receivers alone."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from notifications import claiming
from notifications.delivery import deliver_due
from notifications.models import Channel, Notification, Provider
from tests.factories import make_address, make_channel
from tests.notifications.making import (
    make_message,
    make_notification,
    make_slack_channel,
    make_webhook_channel,
    reread,
)
from tests.notifications.servers import Answer

pytestmark = pytest.mark.django_db
Status = Notification.Status
Lane = Notification.Lane


def test_a_recovery_never_overtakes_its_opening(now, slack):
    slack.answers.append(Answer(503))
    channel = make_slack_channel(slack.url)
    opening = make_notification(
        now=now,
        channel=channel,
        lane=Lane.PAGING,
        message=make_message(title="Down", thread_key="t", is_first_in_thread=True),
    )
    deliver_due(now=now)
    recovery = make_notification(
        now=now, channel=channel, message=make_message(title="Up", thread_key="t")
    )

    deliver_due(now=now)
    assert reread(recovery).status == Status.QUEUED
    assert len(slack.requests) == 1

    deliver_due(now=reread(opening).next_attempt_at)
    titles = [one.json["text"] for one in slack.requests[1:]]
    assert titles == ["🔴 P0 · Down", "🔴 P0 · Up"]
    assert reread(recovery).status == Status.SENT


def test_a_failing_thread_holds_up_neither_other_threads_nor_other_channels(
    now, slack, receiver
):
    slack.answers.append(Answer(503))
    channel, other = make_slack_channel(slack.url), make_webhook_channel(receiver.url)
    for destination in (channel, other):
        make_notification(
            now=now, channel=destination, message=make_message(thread_key="t")
        )
    deliver_due(now=now)
    same_thread = make_notification(
        now=now, channel=channel, message=make_message(thread_key="t")
    )
    other_thread = make_notification(
        now=now, channel=channel, message=make_message(thread_key="u")
    )
    other_channel = make_notification(
        now=now, channel=other, message=make_message(thread_key="t")
    )

    deliver_due(now=now)

    assert reread(same_thread).status == Status.QUEUED
    assert reread(other_thread).status == Status.SENT
    assert reread(other_channel).status == Status.SENT


def test_a_scheduled_message_does_not_hold_up_its_thread(now, slack):
    channel = make_slack_channel(slack.url)
    message = make_message(thread_key="t")
    make_notification(
        now=now, channel=channel, message=message, not_before=now + timedelta(hours=1)
    )
    due = make_notification(now=now, channel=channel, message=message)

    deliver_due(now=now)

    assert reread(due).status == Status.SENT


def test_a_dead_opening_lets_the_recovery_go(now, slack):
    slack.answers.append(Answer(404, "no_service"))
    channel = make_slack_channel(slack.url)
    message = make_message(thread_key="t")
    make_notification(now=now, channel=channel, message=message)
    recovery = make_notification(now=now, channel=channel, message=message)

    deliver_due(now=now)

    assert reread(recovery).status == Status.SENT


def test_pages_leave_before_bulk_of_the_same_channel(now, slack):
    channel = make_slack_channel(slack.url)
    for title, lane in (("bulk", Lane.BULK), ("page", Lane.PAGING)):
        make_notification(
            now=now,
            channel=channel,
            lane=lane,
            message=make_message(title=title, priority=""),
        )

    deliver_due(now=now)

    assert [one.json["text"] for one in slack.requests] == ["🔴 page", "🔴 bulk"]


def test_one_destination_gets_one_message_at_a_time(now):
    channel, other = make_channel(), make_channel()

    def claimed_after(lane: int, channel: Channel) -> int:
        make_notification(now=now, channel=channel, lane=lane)
        free_slots = {int(Lane.PAGING): 3, int(Lane.BULK): 3}
        return len(claiming.claim_due(now=now, free_slots=free_slots, at_most=9))

    assert claimed_after(Lane.PAGING, channel) == 1
    assert claimed_after(Lane.PAGING, channel) == 0
    assert claimed_after(Lane.BULK, channel) == 0
    assert claimed_after(Lane.PAGING, other) == 1


def test_a_page_waits_for_no_digest_that_its_own_destination_is_slow_to_take(now):
    channel = make_channel()

    def claimed(lane: int) -> list[int]:
        make_notification(now=now, channel=channel, lane=lane)
        free_slots = {int(one): 3 for one in Lane}
        claims = claiming.claim_due(now=now, free_slots=free_slots, at_most=9)
        return [one.lane for one in claims]

    assert claimed(Lane.BULK) == [Lane.BULK]
    # What is no page waits for the digest; a page passes both.
    assert claimed(Lane.BULK) == []
    assert claimed(Lane.PAGING) == [Lane.PAGING]
    assert claimed(Lane.NORMAL) == []


@pytest.mark.parametrize(
    ("lane", "is_claimed"), [(Lane.PAGING, True), (Lane.NORMAL, False)]
)
def test_a_page_passes_an_answer_of_its_thread_that_is_in_back_off(
    now, lane, is_claimed
):
    channel, message = make_channel(), make_message(thread_key="t")
    answer = make_notification(now=now, channel=channel, message=message)
    Notification.objects.filter(pk=answer.pk).update(
        attempt_count=9, next_attempt_at=now + timedelta(hours=1)
    )
    make_notification(now=now, channel=channel, message=message, lane=lane)

    free_slots = {int(one): 3 for one in Lane}
    claims = claiming.claim_due(now=now, free_slots=free_slots, at_most=9)

    assert bool(claims) is is_claimed


def test_a_page_waits_for_what_is_being_said_in_its_thread(now):
    channel, message = make_channel(), make_message(thread_key="t")

    def claimed(lane: int) -> int:
        make_notification(now=now, channel=channel, message=message, lane=lane)
        free_slots = {int(one): 3 for one in Lane}
        return len(claiming.claim_due(now=now, free_slots=free_slots, at_most=9))

    assert claimed(Lane.NORMAL) == 1
    assert claimed(Lane.PAGING) == 0


def test_what_was_never_tried_goes_before_what_has_failed(now):
    failed = [make_notification(now=now, lane=Lane.PAGING) for _ in range(3)]
    Notification.objects.filter(pk__in=[row.pk for row in failed]).update(
        attempt_count=4, next_attempt_at=now - timedelta(minutes=1)
    )
    fresh = make_notification(now=now, lane=Lane.PAGING)

    claims = claiming.claim_due(now=now, free_slots={int(Lane.PAGING): 2}, at_most=9)

    assert {claim.notification_id for claim in claims} == {fresh.pk, failed[0].pk}


def test_a_slow_receiver_holds_up_nobody_else(now, slack, receiver):
    gate = threading.Event()
    slack.answers.append(Answer(200, gate=gate))
    slow = make_notification(now=now, channel=make_slack_channel(slack.url))
    quick = [
        make_notification(now=now, channel=make_webhook_channel(receiver.url))
        for _ in range(12)
    ]
    done = threading.Thread(target=open_when, args=(gate, receiver.requests, 12))
    done.start()

    result = deliver_due(now=now)

    done.join()
    # The gate opens only after all the others have arrived.
    assert result.sent == 13
    assert reread(slow).status == Status.SENT
    assert {reread(row).status for row in quick} == {Status.SENT}


def open_when(gate, arrived, count):
    tick = threading.Event()
    for _ in range(2000):
        if len(arrived) >= count:
            break
        tick.wait(0.01)
    gate.set()


def test_no_lane_takes_the_senders_of_another(now, slack, receiver):
    """Every sender of the paging lane hangs, and the others work on."""
    gate = threading.Event()
    slack.answers.extend(Answer(200, gate=gate) for _ in range(20))
    for number in range(20):
        make_notification(
            now=now,
            channel=make_slack_channel(f"{slack.url}{number}"),
            lane=Lane.PAGING,
        )
    others = [
        make_notification(
            now=now, channel=make_webhook_channel(receiver.url), lane=lane
        )
        for lane in (Lane.NORMAL, Lane.BULK)
    ]
    done = threading.Thread(target=open_when, args=(gate, receiver.requests, 2))
    done.start()

    result = deliver_due(now=now)

    done.join()
    assert result.sent == 22
    assert {reread(row).status for row in others} == {Status.SENT}


def test_edit_waits_for_what_is_being_said_and_nothing_waits_for_it(now):
    def claimed(**values):
        message = make_message(thread_key="t", edits=values.pop("edits", ""))
        make_notification(now=now, channel=channel, message=message, **values)
        free_slots = {int(Lane.PAGING): 9, int(Lane.NORMAL): 9}
        return [
            one.lane
            for one in claiming.claim_due(now=now, free_slots=free_slots, at_most=9)
        ]

    channel = make_channel()
    assert claimed(edits="all", lane=Lane.NORMAL) == [Lane.NORMAL]
    # An edit is on its way: a page passes it, another edit does not.
    assert claimed(lane=Lane.PAGING) == [Lane.PAGING]
    assert claimed(edits="all", lane=Lane.NORMAL) == []

    Notification.objects.filter(message__edits="all").delete()
    # A page is on its way: no edit passes it.
    assert claimed(edits="all", lane=Lane.NORMAL) == []


def test_edit_in_back_off_holds_back_no_page_of_its_thread(now):
    channel = make_channel()
    message = make_message(thread_key="t", edits="all")
    edit = make_notification(now=now, channel=channel, message=message)
    Notification.objects.filter(pk=edit.pk).update(
        attempt_count=1, next_attempt_at=now + timedelta(hours=1)
    )
    make_notification(
        now=now, channel=channel, message=make_message(thread_key="t"), lane=Lane.PAGING
    )

    claims = claiming.claim_due(now=now, free_slots={int(Lane.PAGING): 3}, at_most=9)

    assert len(claims) == 1


def test_sms_in_back_off_holds_back_no_call_to_the_same_phone(now):
    Provider.objects.create(
        name="Twilio",
        kind="twilio",
        is_enabled=True,
        account="AC1",
        secret="s",
        sender="+33600000000",
        voice_sender="+33600000001",
    )
    address = make_address(kind="phone", value="+33612345678")
    message = make_message(thread_key="t")
    for method in ("sms", "voice"):
        make_notification(now=now, address=address, message=message, method=method)
    Notification.objects.filter(method="sms").update(
        attempt_count=1, next_attempt_at=now + timedelta(minutes=10)
    )

    (claim,) = claiming.claim_due(
        now=now, free_slots={int(Lane.NORMAL): 3, int(Lane.PAGING): 3}, at_most=9
    )

    assert Notification.objects.get(pk=claim.notification_id).method == "voice"
