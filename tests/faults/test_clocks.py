"""Clocks that differ from host to host, and clocks that are set: every page still comes."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from incidents.advancing import advance_due
from incidents.auditing.passing import audit
from incidents.models import Alert, Incident
from monitors import watching
from monitors.models import MonitorState
from notifications.delivery import deliver_due
from notifications.models import Notification, ProviderState
from notifications.pacing import reserve
from t4g_portal import beat
from tests.factories import make_channel, make_monitor, make_priority_rules
from tests.incidents.making import make_incident, pages_of, reread
from tests.notifications.making import make_notification, make_twilio

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
PAGING = Notification.Lane.PAGING


def test_page_of_a_host_whose_clock_is_ahead_leaves_at_once(now):
    page = make_notification(now=now + HOUR)
    scheduled = make_notification(now=now + HOUR, not_before=now + 2 * HOUR)

    deliver_due(now=now)

    page.refresh_from_db()
    scheduled.refresh_from_db()
    assert (page.status, scheduled.status) == ("sent", "queued")


@pytest.mark.parametrize("ahead", [10 * MINUTE, 5 * HOUR])
def test_pace_that_was_kept_by_a_clock_ahead_holds_no_page_back(now, ahead):
    provider = make_twilio()
    values: dict[str, Any] = {"provider_id": provider.pk, "rate_per_s": 10.0}
    reserve(lane=PAGING, now=now + ahead, **values)

    moments = [reserve(lane=PAGING, now=now, **values) for _ in range(2)]

    assert [moment.is_ours for moment in moments] == [True, True]
    assert [moment.at - now for moment in moments] == [
        timedelta(0),
        timedelta(milliseconds=100),
    ]


def test_pause_that_a_provider_asks_for_is_kept(now):
    provider = make_twilio()
    ProviderState.objects.create(
        provider=provider, failed_at=now, next_free_at=now + 10 * MINUTE
    )

    moment = reserve(
        provider_id=provider.pk, rate_per_s=10.0, lane=PAGING, now=now + MINUTE
    )

    assert (moment.is_ours, moment.at) == (False, now + 10 * MINUTE)


def paged(now: Any) -> Incident:
    make_priority_rules(make_channel())
    incident = make_incident(now=now)
    deliver_due(now=now)
    return incident


def test_incident_of_a_clock_that_was_set_back_is_paged_again_at_once(now):
    # Its next page would come an hour and five minutes from now.
    incident = paged(now + HOUR)

    audit(now=now)
    deliver_due(now=now)

    assert [row.status for row in pages_of(incident)] == ["sent", "sent"]
    assert now < reread(incident).next_escalation_at <= now + 5 * MINUTE
    assert audit(now=now + MINUTE).found_count == 0


def test_climb_that_went_on_while_the_clock_was_ahead_goes_on_from_now(now):
    incident = paged(now)
    advance_due(now=now + HOUR)
    deliver_due(now=now + HOUR)
    assert reread(incident).next_escalation_at > now + HOUR

    audit(now=now + MINUTE)
    deliver_due(now=now + MINUTE)

    assert len(pages_of(incident)) == 3
    assert reread(incident).next_escalation_at <= now + 6 * MINUTE


def test_acknowledged_incident_is_left_alone_by_a_clock_that_was_set_back(now):
    incident = paged(now + HOUR)
    Incident.objects.filter(pk=incident.pk).update(
        status="acknowledged", acknowledged_at=now + HOUR, next_escalation_at=None
    )

    assert audit(now=now).found_count == 0
    assert len(pages_of(incident)) == 1


@pytest.mark.parametrize("tried", [0, 3])
def test_message_that_waits_for_a_time_that_was_set_back_leaves(now, tried):
    row = make_notification(
        now=now + HOUR, not_before=now + HOUR + 3 * MINUTE, lane=PAGING
    )
    Notification.objects.filter(pk=row.pk).update(attempt_count=tried)

    audit(now=now)
    deliver_due(now=now)

    row.refresh_from_db()
    assert row.status == "sent"


def test_message_in_back_off_or_planned_for_later_keeps_its_time(now):
    planned = make_notification(now=now, not_before=now + 5 * HOUR)
    retried = make_notification(now=now, not_before=now + 14 * MINUTE, lane=PAGING)
    Notification.objects.filter(pk=retried.pk).update(attempt_count=9)

    assert audit(now=now).found_count == 0
    assert deliver_due(now=now).claimed == 0
    planned.refresh_from_db()
    assert planned.next_attempt_at == now + 5 * HOUR


def test_monitors_that_wait_for_their_clock_are_said_to_be_blind(now):
    make_priority_rules(make_channel())
    monitor = make_monitor()
    watching.admit_new(now=now)
    MonitorState.objects.filter(monitor=monitor).update(last_result_at=now + HOUR)

    watching.watch(now=now)
    watching.watch(now=now + MINUTE)
    alert = Alert.objects.get(dedup_key="portal:clock")
    assert (alert.status, alert.priority) == ("firing", "p1")
    assert "10:00 UTC" in alert.detail
    assert len(pages_of(alert.incident)) == 1

    watching.watch(now=now + HOUR)
    alert.refresh_from_db()
    assert alert.status == "resolved"


def test_ticks_go_on_after_the_clock_was_set_back(monkeypatch):
    ahead_s = [3600.0]
    app = Celery(set_as_current=False)
    app.conf.beat_schedule = {
        name: {"task": name, "schedule": every_s}
        for name, every_s in {"often": 1.0, "seldom": 5.0}.items()
    }
    sent: list[str] = []
    real_now = app.now
    monkeypatch.setattr(
        beat, "time", SimpleNamespace(time=lambda: time.time() + ahead_s[0])
    )
    monkeypatch.setattr(app, "now", lambda: real_now() + timedelta(seconds=ahead_s[0]))

    class Scheduler(beat.TickScheduler):
        def apply_entry(self, entry: Any, producer: Any = None) -> None:
            sent.append(entry.task)

    # It would connect to a broker.
    monkeypatch.setattr(Scheduler, "producer", None)

    def ticks_within(seconds: float) -> list[str]:
        sent.clear()
        until = ahead_s[0] + seconds
        while ahead_s[0] <= until:
            wait_s = scheduler.tick()
            ahead_s[0] += max(wait_s, 0.01)
        return sent[:]

    scheduler = Scheduler(app, lazy=False)
    assert ticks_within(11).count("often") >= 9

    ahead_s[0] -= 3000

    after = ticks_within(11)
    assert after.count("often") >= 9
    assert after.count("seldom") >= 2
