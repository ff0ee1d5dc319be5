"""What a deploy window holds back, what passes, how it ends, and that nothing is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Q

from incidents import deploy_windows, intake, services
from incidents.advancing import advance_due
from incidents.auditing import passing
from incidents.deploy_windows import (
    SETTLED_AFTER,
    UNDISTURBED_FOR,
    Health,
    UnableToClose,
    UnableToOpen,
    advance_windows,
    close_window,
)
from incidents.models import (
    AuditFinding,
    DeployWindow,
    HeldAlert,
    Incident,
    IncidentEvent,
)
from incidents.people import Actor
from incidents.timeline import sentence
from tests.factories import (
    make_channel,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.incidents.making import (
    deliver,
    kinds,
    make_alert,
    make_held,
    make_incident,
    outbox,
    reread,
    trigger,
)

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def no_judge(monkeypatch):
    """Nobody says that a service is healthy unless a test does."""
    monkeypatch.setattr(deploy_windows, "_judges", [])


def make_window(*, now, **values: Any) -> DeployWindow:
    """Open a window of 30 minutes over a service of its own."""
    if "service" not in values:
        values["service"] = make_service()
    values.setdefault("minutes", 30)
    values.setdefault("reason", "Release 1.4")
    return deploy_windows.open_window(now=now, **values)


def again(window: DeployWindow) -> DeployWindow:
    return DeployWindow.objects.get(pk=window.pk)


# What waits, and what does not


def test_alert_in_a_window_opens_no_incident_and_tells_nobody(now):
    make_priority_rules(make_channel())
    window = make_window(now=now)

    held = make_held(now=now + MINUTE, service=window.service, started_at=now)

    assert (held.window, held.status, held.started_at) == (window, "held", now)
    assert not Incident.objects.exists()
    assert outbox() == []


def test_p0_passes_at_once(now):
    make_priority_rules(make_channel())
    window = make_window(now=now)

    make_alert(now=now, service=window.service, priority="p0")

    assert len(outbox("page")) == 1
    assert not HeldAlert.objects.exists()


def test_alert_that_rises_to_p0_while_held_is_raised_with_its_true_start(now):
    make_priority_rules(make_channel())
    window = make_window(now=now)
    make_held(now=now, service=window.service, dedup_key="k", started_at=now - MINUTE)

    alert = make_alert(
        now=now + MINUTE, service=window.service, dedup_key="k", priority="p0"
    )

    assert alert.started_at == alert.incident.started_at == now - MINUTE
    assert alert.incident.opened_at == now + MINUTE
    held = HeldAlert.objects.get()
    assert (held.status, held.alert) == ("raised", alert)
    assert kinds(alert.incident)[-1] == "held_back"
    assert len(outbox("page")) == 1


@pytest.mark.parametrize("priority", ["p1", "p2", "p3"])
def test_whatever_is_less_than_p0_waits(now, priority):
    window = make_window(now=now)

    make_held(now=now, service=window.service, priority=priority)


def test_alert_of_another_service_passes(now):
    make_window(now=now)

    make_alert(now=now, priority="p1")


def test_alert_whose_group_has_an_open_incident_joins_it(now):
    incident = make_incident(now=now - MINUTE)
    make_window(now=now, service=incident.service)

    alert = make_alert(now=now, service=incident.service, priority="p1")

    assert alert.incident == incident


def test_alert_that_fires_already_goes_on(now):
    alert = make_alert(now=now - MINUTE, dedup_key="k", priority="p2")
    make_window(now=now, service=alert.service)

    same = make_alert(now=now, dedup_key="k", service=alert.service, priority="p1")

    assert same == alert
    assert reread(same.incident).priority == "p1"


def test_escalation_of_an_open_incident_goes_on(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)
    deliver(now=now)
    make_window(now=now, service=incident.service)

    advance_due(now=now + 5 * MINUTE)

    assert len(outbox("page", "queued")) == 1


def test_drill_is_not_held_back(now):
    window = make_window(now=now)

    make_alert(now=now, service=window.service, priority="p1", is_drill=True)


def test_the_portals_own_alarms_are_never_held_back(now):
    window = make_window(now=now)

    make_alert(now=now, service=window.service, priority="p1", dedup_key="portal:audit")


def test_what_came_back_within_the_window_waits_too(now):
    """A flapping incident is over: nothing of its group is open."""
    alert = make_alert(now=now - 2 * MINUTE, dedup_key="k", priority="p1")
    intake.resolve(dedup_key="k", now=now - MINUTE)
    window = make_window(now=now, service=alert.service)

    make_held(now=now, dedup_key="k", service=window.service)

    close_window(window_id=window.pk, now=now + MINUTE)
    advance_windows(now=now + MINUTE)
    assert reread(alert.incident).is_flapping


def test_said_again_it_is_one_with_the_latest_words_and_the_earliest_start(now):
    window = make_window(now=now)
    values = {"service": window.service, "dedup_key": "k"}
    make_held(now=now, title="slow", detail="3 s", started_at=now, **values)

    held = make_held(
        now=now + MINUTE,
        title="slower",
        detail="",
        priority="p2",
        started_at=now - MINUTE,
        **values,
    )

    assert HeldAlert.objects.get() == held
    assert (held.title, held.detail, held.priority) == ("slower", "3 s", "p2")
    assert (held.started_at, held.trigger_count) == (now - MINUTE, 2)


def test_group_that_gets_an_incident_takes_what_waits_at_the_next_word(now):
    make_priority_rules(make_channel())
    window = make_window(now=now)
    make_held(now=now, service=window.service, dedup_key="small")
    incident = make_incident(now=now, service=window.service, dedup_key="large")

    alert = make_alert(
        now=now, service=window.service, dedup_key="small", priority="p1"
    )

    assert alert.incident == incident
    assert len(outbox("page")) == 1


# The end


def test_what_still_fires_is_raised_when_the_time_is_over(now):
    make_priority_rules(make_channel())
    window = make_window(now=now)
    make_held(now=now + MINUTE, service=window.service, started_at=now, dedup_key="k")

    assert advance_windows(now=now + 30 * MINUTE - SECOND) == 0
    assert advance_windows(now=now + 30 * MINUTE) == 1

    incident = Incident.objects.get()
    assert incident.started_at == now
    assert incident.opened_at == now + 30 * MINUTE
    assert len(outbox("page")) == 1
    assert kinds(incident) == ["opened", "notified", "held_back"]
    assert (again(window).end_cause, again(window).ended_at) == (
        "bound",
        now + 30 * MINUTE,
    )
    assert advance_windows(now=now + 30 * MINUTE) == 0


def test_incident_says_that_its_alert_waited_and_for_what(now):
    window = make_window(now=now, reason="Release 1.4")
    make_held(now=now, service=window.service)
    advance_windows(now=now + 30 * MINUTE)

    line = IncidentEvent.objects.get(kind="held_back")

    assert "Held back since" in sentence(event=line)
    assert line.text == "Release 1.4"


def test_what_is_over_by_then_is_a_note_and_no_incident(now):
    window = make_window(now=now)
    make_held(now=now, service=window.service, dedup_key="k")

    assert intake.resolve(dedup_key="k", now=now + MINUTE, detail="HTTP 200") is None
    advance_windows(now=now + 30 * MINUTE)

    held = HeldAlert.objects.get()
    assert (held.status, held.detail) == ("over", "HTTP 200")
    assert held.ended_at == now + MINUTE
    assert not Incident.objects.exists()


def test_window_that_nobody_ended_holds_nothing_after_its_time(now):
    """The engine stands still; whoever finds something wrong raises it all the same."""
    window = make_window(now=now)

    make_alert(now=now + 30 * MINUTE, service=window.service, priority="p1")

    assert again(window).ended_at is None


def test_held_alert_is_raised_by_the_next_word_when_the_time_is_over(now):
    window = make_window(now=now)
    make_held(now=now, service=window.service, dedup_key="k")

    alert = make_alert(
        now=now + 30 * MINUTE, service=window.service, dedup_key="k", priority="p1"
    )

    assert alert.started_at == now
    assert advance_windows(now=now + 30 * MINUTE) == 0


def test_another_window_holds_back_no_longer_what_has_waited_for_one(now):
    first = make_window(now=now)
    make_held(now=now, service=first.service, dedup_key="k")
    close_window(window_id=first.pk, now=now + MINUTE)
    make_window(now=now + MINUTE, service=first.service)

    make_alert(now=now + MINUTE, service=first.service, dedup_key="k", priority="p1")


def test_closing_raises_what_fires_at_the_next_tick(now):
    user = make_user()
    window = make_window(now=now, actor=Actor(user))
    make_held(now=now, service=window.service)

    close_window(window_id=window.pk, actor=Actor(user), now=now + MINUTE)
    advance_windows(now=now + MINUTE)

    closed = again(window)
    assert (closed.end_cause, closed.closer) == ("closed", user.username)
    assert closed.ended_at == now + MINUTE
    assert Incident.objects.count() == 1


def test_window_that_is_over_cannot_be_closed(now):
    window = make_window(now=now)
    close_window(window_id=window.pk, now=now)

    with pytest.raises(UnableToClose):
        close_window(window_id=window.pk, now=now)
    with pytest.raises(UnableToClose):
        close_window(window_id=make_window(now=now).pk, now=now + 30 * MINUTE)


def test_most_urgent_is_raised_first(now):
    window = make_window(now=now)
    for priority in ("p3", "p1", "p2"):
        make_held(
            now=now,
            service=window.service,
            priority=priority,
            dedup_key=priority,
            grouping_key=priority,
        )

    advance_windows(now=now + 30 * MINUTE)

    opened = Incident.objects.order_by("pk").values_list("priority", flat=True)
    assert list(opened) == ["p1", "p2", "p3"]


def test_alerts_of_one_group_become_one_incident_with_one_page(now):
    make_priority_rules(make_channel())
    window = make_window(now=now)
    for key in ("a", "b", "c"):
        make_held(now=now, service=window.service, dedup_key=key)

    assert advance_windows(now=now + 30 * MINUTE) == 3

    assert Incident.objects.get().alerts.count() == 3
    assert len(outbox("page")) == 1


def test_one_alert_that_cannot_be_raised_holds_up_no_other(now, monkeypatch, caplog):
    window = make_window(now=now)
    for key in ("bad", "good"):
        make_held(now=now, service=window.service, dedup_key=key, grouping_key=key)
    release = intake.release

    def refuse(*, dedup_key, now):
        if dedup_key == "bad":
            raise IntegrityError("no")
        return release(dedup_key=dedup_key, now=now)

    monkeypatch.setattr(intake, "release", refuse)

    assert advance_windows(now=now + 30 * MINUTE) == 1

    assert Incident.objects.get().grouping_key == "good"
    assert "'bad' could not be raised" in caplog.text


# Bounds


@pytest.mark.parametrize("minutes", [0, -5, 61, 10_000])
def test_window_lasts_an_hour_at_most(now, minutes):
    with pytest.raises(UnableToOpen):
        make_window(now=now, minutes=minutes)


def test_the_database_itself_refuses_a_longer_window(now):
    window = make_window(now=now, minutes=60)

    with pytest.raises(IntegrityError), transaction.atomic():
        DeployWindow.objects.filter(pk=window.pk).update(ends_at=now + 61 * MINUTE)


@pytest.mark.parametrize("reason", ["", "   ", "\x00", "r" * 201])
def test_window_needs_a_reason_that_fits(now, reason):
    with pytest.raises(UnableToOpen):
        make_window(now=now, reason=reason)


def test_second_window_over_a_service_is_refused(now):
    window = make_window(now=now)

    with pytest.raises(UnableToOpen, match="open until"):
        make_window(now=now + MINUTE, service=window.service)


def test_new_window_ends_the_old_one_whose_time_is_over(now):
    old = make_window(now=now)
    make_held(now=now, service=old.service, dedup_key="k")
    later = now + 31 * MINUTE

    make_window(now=later, service=old.service)
    advance_windows(now=later)

    assert again(old).ended_at == now + 30 * MINUTE
    assert Incident.objects.count() == 1


def test_clock_set_back_ends_the_window(now):
    window = make_window(now=now)
    make_held(now=now, service=window.service)
    advance_windows(now=now + 20 * MINUTE)

    raised = advance_windows(now=now + 5 * MINUTE)

    assert raised == 1
    assert again(window).end_cause == "clock"


def test_clock_set_back_before_the_window_holds_nothing_back(now):
    window = make_window(now=now)

    make_alert(now=now - 5 * MINUTE, service=window.service, priority="p1")


def test_clocks_of_two_hosts_may_differ_a_little(now):
    window = make_window(now=now)
    advance_windows(now=now + 10 * SECOND)

    advance_windows(now=now)

    assert again(window).ended_at is None


# Early, when healthy


def judge(monkeypatch, health: Health | None) -> None:
    monkeypatch.setattr(deploy_windows, "_judges", [lambda _service, _now: health])


def test_window_closes_when_the_service_has_been_healthy_after_trouble(
    now, monkeypatch
):
    window = make_window(now=now)
    up_at = now + 2 * MINUTE
    judge(monkeypatch, Health(since=up_at, probed_at=up_at + MINUTE))

    advance_windows(now=up_at + SETTLED_AFTER - SECOND)
    assert again(window).ended_at is None
    advance_windows(now=up_at + SETTLED_AFTER)

    assert again(window).end_cause == "healthy"


def test_undisturbed_service_waits_for_longer(now, monkeypatch):
    """A build takes minutes, and until then all is as it was."""
    window = make_window(now=now)
    judge(monkeypatch, Health(since=now - 60 * MINUTE, probed_at=now + MINUTE))

    advance_windows(now=now + SETTLED_AFTER + MINUTE)
    assert again(window).ended_at is None
    advance_windows(now=now + UNDISTURBED_FOR)

    assert again(window).end_cause == "healthy"


@pytest.mark.parametrize("minutes_ago", [0, 11])
def test_window_stays_open_until_every_monitor_was_asked_since(
    now, monkeypatch, minutes_ago
):
    window = make_window(now=now)
    judge(
        monkeypatch,
        Health(since=now - 60 * MINUTE, probed_at=now - minutes_ago * MINUTE),
    )

    advance_windows(now=now + 20 * MINUTE)

    assert again(window).ended_at is None


def test_window_stays_open_while_something_waits(now, monkeypatch):
    window = make_window(now=now)
    make_held(now=now, service=window.service, dedup_key="k")
    judge(monkeypatch, Health(since=now, probed_at=now + 20 * MINUTE))

    advance_windows(now=now + 20 * MINUTE)
    assert again(window).ended_at is None
    intake.resolve(dedup_key="k", now=now + 20 * MINUTE)
    judge(monkeypatch, Health(since=now, probed_at=now + 21 * MINUTE))
    advance_windows(now=now + 20 * MINUTE + SETTLED_AFTER)

    assert again(window).end_cause == "healthy"


def test_window_stays_open_when_somebody_wants_all_of_its_time(now, monkeypatch):
    window = make_window(now=now, closes_when_healthy=False)
    judge(monkeypatch, Health(since=now, probed_at=now + 20 * MINUTE))

    advance_windows(now=now + 25 * MINUTE)

    assert again(window).ended_at is None


@pytest.mark.parametrize("health", [None, "broken"])
def test_window_stays_open_when_nobody_can_say_that_it_is_healthy(
    now, monkeypatch, health
):
    def broken(_service, _now):
        raise RuntimeError

    window = make_window(now=now)
    judge(monkeypatch, None)
    if health == "broken":
        monkeypatch.setattr(deploy_windows, "_judges", [broken])

    advance_windows(now=now + 25 * MINUTE)
    assert again(window).ended_at is None
    advance_windows(now=now + 30 * MINUTE)

    # A judge that fails must not make it last.
    assert again(window).end_cause == "bound"


# Neighbors


def test_what_fires_is_told_whether_raised_or_held_back(now):
    window = make_window(now=now)
    make_held(now=now, service=window.service, dedup_key="x:held", grouping_key="g")
    alert = make_alert(now=now, dedup_key="x:raised")
    make_alert(now=now, dedup_key="y:other")

    found = intake.firing(where=Q(dedup_key__startswith="x:"))

    assert found == {
        "x:held": intake.Firing("p1", window.service_id, "g"),
        "x:raised": intake.Firing("p0", alert.service_id, ""),
    }


def test_auditor_raises_what_the_engine_has_left(now):
    make_priority_rules(make_channel())
    window = make_window(now=now)
    make_held(now=now, service=window.service)

    passing.audit(now=now + 33 * MINUTE)

    finding = AuditFinding.objects.get(kind="still_held")
    assert finding.repaired_at == now + 33 * MINUTE
    assert Incident.objects.filter(service=window.service).exists()


def test_auditor_is_quiet_while_the_window_is_open_or_just_over(now):
    window = make_window(now=now)
    make_held(now=now, service=window.service)

    passing.audit(now=now + 29 * MINUTE)
    passing.audit(now=now + 31 * MINUTE)

    assert not AuditFinding.objects.exists()


def test_resolving_by_hand_does_not_touch_what_waits(now):
    window = make_window(now=now)
    make_held(now=now, service=window.service, dedup_key="k", grouping_key="other")
    incident = make_incident(now=now, service=window.service)

    services.resolve_incident(
        incident_id=incident.pk,
        user=make_user(),
        via="web",
        now=now,
        even_if_firing=True,
    )

    assert HeldAlert.objects.get().status == "held"


def test_callers_rollback_takes_what_was_held_with_it(now):
    window = make_window(now=now)

    with transaction.atomic():
        trigger(
            now=now,
            service=window.service,
            dedup_key="k",
            priority="p1",
        )
        transaction.set_rollback(True)

    assert not HeldAlert.objects.exists()
