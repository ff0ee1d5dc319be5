"""What verifiers find out about messages, drills and who is on call."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from checklists.verifiers.base import Verdict
from incidents import services
from monitors.drills import running
from monitors.models import Drill, Monitor
from notifications.models import Channel, Notification
from t4g_portal.lib.history import Via, acting
from tests.checklists.asking import ask, told
from tests.factories import (
    make_address,
    make_channel,
    make_contact,
    make_monitor,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.incidents.making import deliver, refuse
from tests.incidents.oncall.making import MONDAY, make_absence, make_schedule
from tests.notifications.making import make_notification, make_twilio

pytestmark = pytest.mark.django_db

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


# Messages arrive


def ended(now, status="sent", **values) -> Notification:
    """A message that was tried at that moment."""
    ended_with = {
        name: values.pop(name)
        for name in ("receipt", "outcome", "delivery_status")
        if name in values
    }
    row = make_notification(now=now, **values)
    Notification.objects.filter(pk=row.pk).update(
        status=status, ended_at=now, **ended_with
    )
    return row


@pytest.fixture
def channel() -> Channel:
    return make_channel(name="Slack", address="slack@example.org")


def test_channel_whose_last_message_was_taken_passes(now, channel):
    row = ended(now, channel=channel, receipt={"status": 200})

    found = ask("channel_receipt", now=now + DAY, channels=["Slack"])

    assert found.verdict is Verdict.PASSED
    assert found.observed["channels"][0]["notification"] == row.pk
    assert told("channel_receipt", found).startswith("Slack: a message arrived, Mon 2")


def test_next_message_leaves_what_was_looked_at_as_it_is(now, channel):
    ended(now, channel=channel)
    first = ask("channel_receipt", now=now, channels=["Slack"])
    ended(now + HOUR, channel=channel)
    again = ask("channel_receipt", now=now + HOUR, channels=["Slack"])

    assert first.looked_at == again.looked_at
    assert first.observed != again.observed


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"status": "dead", "outcome": "no such channel"}, "refused"),
        ({"receipt": {"kept": True}}, "kept"),
        ({"delivery_status": "failed"}, "lost"),
        ({"status": "cancelled"}, "untested"),
        ({"status": "queued"}, "untested"),
    ],
)
def test_message_that_did_not_arrive_is_no_receipt(now, channel, values, code):
    ended(now, channel=channel, **values)

    found = ask("channel_receipt", now=now, channels=["Slack"])

    assert (found.verdict, found.code) == (Verdict.FAILED, code)


def test_last_message_counts_alone(now, channel):
    ended(now, channel=channel)
    ended(now + HOUR, channel=channel, status="dead", outcome="HTTP 410")

    assert ask("channel_receipt", now=now + HOUR, channels=["Slack"]).code == "refused"


def test_channel_without_a_message_for_long_is_untested(now, channel):
    ended(now, channel=channel)

    found = ask("channel_receipt", now=now + 31 * DAY, channels=["Slack"])

    assert told("channel_receipt", found) == (
        "Slack: no message was sent in the last 30 days. Send a test."
    )


def test_channel_that_is_missing_or_off_fails(now, channel):
    missing = ask("channel_receipt", now=now, channels=["Pigeon"])
    Channel.objects.update(is_enabled=False)
    disabled = ask("channel_receipt", now=now, channels=["Slack"])

    assert (missing.code, disabled.code) == ("missing", "disabled")


def test_message_before_the_channel_was_led_elsewhere_proves_nothing(channel):
    now = timezone.now()
    ended(now - HOUR, channel=channel)
    with acting(via=Via.ADMIN):
        channel.name = "Slack alerts"
        channel.save()
    renamed = ask("channel_receipt", now=now, channels=["Slack alerts"])
    with acting(via=Via.ADMIN):
        channel.address = "other@example.org"
        channel.save()
    moved = ask("channel_receipt", now=timezone.now(), channels=["Slack alerts"])
    later = timezone.now() + SECOND
    ended(later, channel=channel)
    tested = ask("channel_receipt", now=later, channels=["Slack alerts"])

    assert renamed.verdict is Verdict.PASSED
    assert moved.code == "untested_since_moved"
    assert tested.verdict is Verdict.PASSED
    assert tested.looked_at != renamed.looked_at


def test_sms_counts_once_its_provider_says_that_it_was_delivered(now):
    make_twilio()
    phone = make_address(kind="phone", value="+33612345678")

    def look():
        return ask("channel_receipt", now=now + HOUR, methods=["sms"])

    first = ended(now, address=phone, method="sms", delivery_status="sent")
    assert (look().verdict, look().code) == (Verdict.UNKNOWN, "awaited")

    Notification.objects.filter(pk=first.pk).update(delivery_status="delivered")
    assert look().verdict is Verdict.PASSED

    # The next one that is under way makes nothing doubtful.
    second = ended(now + MINUTE, address=phone, method="sms", delivery_status="sent")
    assert look().verdict is Verdict.PASSED

    Notification.objects.filter(pk=second.pk).update(delivery_status="failed")
    assert look().code == "lost"


def test_template_that_names_nothing_passes_nothing(now):
    assert ask("channel_receipt", now=now).code == "nothing_named"


# A drill has passed


@pytest.fixture
def monitor() -> Monitor:
    make_priority_rules(make_channel(name="Ops by mail"))
    return make_monitor(name="API", service=make_service(slug="backend"))


def drill(monitor, now, *, is_told=True, is_taken=True, **values) -> Drill:
    """A drill that is over two minutes later."""
    values.setdefault("priority", "p0")
    row = running.start(monitor=monitor, now=now, length=2 * MINUTE, **values)
    (deliver if is_told else refuse)(now=now + SECOND)
    if is_taken:
        person = make_user(first_name="Anna", last_name="Keller")
        services.acknowledge(
            incident_id=row.incident_id, user=person, via="web", now=now + MINUTE
        )
    running.advance(now=now + 2 * MINUTE)
    return row


def test_acknowledged_drill_is_proof_for_thirty_days(now, monitor):
    drill(monitor, now)

    found = ask("drill_passed", now=now + 29 * DAY, service=monitor.service)
    late = ask("drill_passed", now=now + 31 * DAY, service=monitor.service)

    assert found.verdict is Verdict.PASSED
    assert told("drill_passed", found).endswith(
        "of API: Anna Keller acknowledged after 1 min."
    )
    assert told("drill_passed", late) == "No drill in the last 30 days. Run one."


def test_drill_that_nobody_took_or_that_told_nobody_is_no_proof(now, monitor):
    drill(monitor, now, is_taken=False)
    failed = ask("drill_passed", now=now + HOUR, service=monitor.service)
    drill(monitor, now + HOUR, is_told=False)
    partly = ask("drill_passed", now=now + 2 * HOUR, service=monitor.service)
    allowed = ask(
        "drill_passed", now=now + 2 * HOUR, service=monitor.service, may_be_partly=True
    )

    assert (failed.verdict, failed.code) == (Verdict.FAILED, "failed")
    assert (partly.verdict, partly.code) == (Verdict.FAILED, "partly")
    assert "Ops by mail" in told("drill_passed", partly)
    assert allowed.verdict is Verdict.PASSED


def test_newest_drill_counts_and_those_running_or_stopped_do_not(now, monitor):
    drill(monitor, now)
    stopped = running.start(monitor=monitor, priority="p0", now=now + HOUR)
    running.stop(drill_id=stopped.pk, now=now + HOUR + MINUTE)
    running.start(monitor=monitor, priority="p0", now=now + 2 * HOUR)

    found = ask("drill_passed", now=now + 2 * HOUR, service=monitor.service)

    assert found.verdict is Verdict.PASSED


def test_drill_that_runs_alone_is_unknown(now, monitor):
    running.start(monitor=monitor, priority="p0", now=now)

    found = ask("drill_passed", now=now + MINUTE, service=monitor.service)

    assert (found.verdict, found.code) == (Verdict.UNKNOWN, "running")


def test_drill_of_another_service_or_priority_counts_where_any_may(now, monitor):
    drill(monitor, now, priority="p1")
    other = make_service(slug="frontend")

    assert ask("drill_passed", now=now + HOUR, service=other).code == "none"
    assert ask("drill_passed", now=now + HOUR, any_service=True).code == "none"
    found = ask("drill_passed", now=now + HOUR, any_service=True, priority="")
    assert found.verdict is Verdict.PASSED


def test_signature_under_the_report_may_be_asked_for(now, monitor):
    row = drill(monitor, now)

    def look():
        return ask(
            "drill_passed", now=now + HOUR, service=monitor.service, must_be_signed=True
        )

    assert look().code == "unsigned"
    running.sign(drill_id=row.pk, user=make_user(), remark="", now=now + HOUR)
    assert look().verdict is Verdict.PASSED


# Somebody is on call


def test_schedule_without_a_gap_for_a_fortnight_passes():
    make_schedule(make_contact(), make_contact(), name="On call", slug="on-call")

    found = ask("schedule_covered", now=MONDAY)

    assert found.verdict is Verdict.PASSED
    assert told("schedule_covered", found) == (
        "On call has somebody at every moment of the next 14 days."
    )


def test_gap_is_named_and_one_beyond_the_days_is_not():
    anna = make_contact(name="Anna")
    make_schedule(anna, name="On call", slug="on-call")
    make_absence(anna, MONDAY + 13 * DAY, 12)

    fortnight = ask("schedule_covered", now=MONDAY, schedules=["on-call"])
    week = ask("schedule_covered", now=MONDAY, schedules=["on-call"], days=7)

    assert (fortnight.verdict, fortnight.code) == (Verdict.FAILED, "gap")
    assert fortnight.values["since_at"] == "2026-01-18T08:00:00Z"
    assert fortnight.values["ended_at"] == "2026-01-18T20:00:00Z"
    assert week.verdict is Verdict.PASSED


def test_schedules_that_are_missing_empty_or_none_at_all_fail():
    none = ask("schedule_covered", now=MONDAY)
    missing = ask("schedule_covered", now=MONDAY, schedules=["on-call"])
    make_schedule(slug="on-call")
    empty = ask("schedule_covered", now=MONDAY, schedules=["on-call"])

    assert (none.code, missing.code, empty.code) == ("none", "missing", "gap")


def test_office_hours_are_looked_at_only_when_named():
    make_schedule(make_contact(), slug="on-call")
    make_schedule(slug="office", is_continuous=False)

    assert ask("schedule_covered", now=MONDAY).verdict is Verdict.PASSED
    named = ask("schedule_covered", now=MONDAY, schedules=["on-call", "office"])
    assert named.verdict is Verdict.FAILED
