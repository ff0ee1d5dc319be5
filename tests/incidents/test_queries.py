"""What the pages load, and at what cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from incidents import intake, queries, services
from incidents.advancing import advance_due
from incidents.models import Incident
from incidents.queries import Filters
from notifications.models import Channel, Notification
from t4g_portal.lib.history import Via, acting
from tests.factories import (
    make_channel,
    make_monitor,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.incidents.making import deliver, make_alert, make_incident

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def end(incident: Incident, now) -> None:
    for alert in incident.alerts.filter(status="firing"):
        intake.resolve(dedup_key=alert.dedup_key, now=now)


def test_open_incidents_stand_by_state_and_deadline(now):
    late = make_incident(now=now, priority="p2")
    soon = make_incident(now=now, priority="p0")
    taken = make_incident(now=now)
    quiet = make_incident(now=now)
    end(make_incident(now=now), now)
    acting = {"user": make_user(), "via": "web", "now": now}
    services.acknowledge(incident_id=taken.pk, **acting)
    services.snooze(incident_id=quiet.pk, until=now + MINUTE, **acting)

    found = queries.open_incidents(filters=Filters())

    assert found.waiting == [soon, late]
    assert found.acknowledged == [taken]
    assert found.snoozed == [quiet]
    assert found.is_urgent
    assert not found.is_cut


def test_more_open_incidents_than_fit_are_cut_and_it_is_said(now, monkeypatch):
    monkeypatch.setattr(queries, "MAX_OPEN", 2)
    for _ in range(3):
        make_incident(now=now)

    found = queries.open_incidents(filters=Filters())

    assert len(found.waiting) == 2
    assert found.is_cut


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(text="login"), ["Login is down"]),
        (Filters(text="100%"), []),
        (Filters(service="shop"), ["Basket is slow"]),
        (Filters(priority="p0"), ["Login is down"]),
        (Filters(status="resolved"), []),
        (Filters(service="nowhere"), []),
        (Filters(), ["Login is down", "Basket is slow"]),
    ],
)
def test_filters_leave_out_what_does_not_fit(now, filters, expected):
    make_incident(now=now, title="Login is down")
    make_incident(
        now=now,
        title="Basket is slow",
        priority="p2",
        service=make_service(slug="shop"),
    )

    found = queries.open_incidents(filters=filters)

    assert [incident.title for incident in found.waiting] == expected


def test_number_finds_its_incident(now):
    incident = make_incident(now=now)
    make_incident(now=now)

    found = queries.open_incidents(filters=Filters(text=f"#{incident.pk}"))

    assert found.waiting == [incident]


def test_past_incidents_come_page_by_page(now, monkeypatch):
    monkeypatch.setattr(queries, "PAST_A_PAGE", 2)
    incidents = [make_incident(now=now) for _ in range(3)]
    for incident in incidents:
        end(incident, now)

    first = queries.past_incidents(filters=Filters())
    second = queries.past_incidents(filters=Filters(), before=first.older_than)

    assert first.incidents == incidents[:0:-1]
    assert second.incidents == incidents[:1]
    assert second.older_than is None


def test_response_times_count_people_only_and_say_over_how_many(now):
    user = make_user()
    for minutes in (1, 2, 9):
        incident = make_incident(now=now)
        services.acknowledge(
            incident_id=incident.pk, user=user, via="web", now=now + minutes * MINUTE
        )
        end(incident, now + 10 * MINUTE)
    end(make_incident(now=now), now + 2 * MINUTE)
    make_incident(now=now - timedelta(days=40))

    times = queries.response_times(since=now - timedelta(days=30), until=now + MINUTE)

    assert times.incident_count == 4
    assert times.acknowledged_count == 3
    assert times.in_time_count == 2
    assert times.resolved_count == 4
    assert times.mean_to_acknowledge == 4 * MINUTE
    assert times.median_to_acknowledge == 2 * MINUTE
    assert times.mean_to_resolve == 8 * MINUTE
    assert times.median_to_resolve == 10 * MINUTE


def test_response_times_of_nothing_are_none(now):
    times = queries.response_times(since=now, until=now)

    assert times.incident_count == 0
    assert times.mean_to_acknowledge is None
    assert times.median_to_resolve is None


def test_response_times_can_be_of_one_service(now):
    incident = make_incident(now=now)
    make_incident(now=now)

    times = queries.response_times(
        since=now, until=now + MINUTE, service=incident.service
    )

    assert times.incident_count == 1


def test_told_shows_the_last_page_to_each_channel(now):
    slack, mail = make_channel(name="Slack"), make_channel(name="Mail")
    make_priority_rules(slack, mail)
    incident = make_incident(now=now)
    deliver(now=now)
    Notification.objects.filter(channel=mail).update(
        status="dead", outcome="no such box"
    )

    found = {line.name: line for line in queries.told(incident=incident)}

    assert found["Slack"].status == "sent"
    assert (found["Mail"].status, found["Mail"].outcome) == ("dead", "no such box")


def test_told_prefers_a_page_that_left_to_one_that_was_cancelled(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)
    deliver(now=now)
    advance_due(now=now + 5 * MINUTE)
    services.acknowledge(
        incident_id=incident.pk, user=make_user(), via="web", now=now + 5 * MINUTE
    )

    (line,) = queries.told(incident=incident)

    assert line.status == "sent"


def test_similar_incidents_are_of_the_service_with_the_same_title_first(now):
    service = make_service()
    user = make_user()
    same = make_incident(now=now, service=service)
    services.add_note(
        incident_id=same.pk, user=user, via="web", now=now, text="Restarted it."
    )
    end(same, now)
    later = now + timedelta(days=2)
    other = make_incident(now=later, service=service, title="Disk is full")
    end(other, later)
    end(make_incident(now=now), now)
    incident = make_incident(now=later + timedelta(days=1), service=service)

    similar: list[Any] = list(queries.similar(incident=incident))

    assert similar == [same, other]
    assert similar[0].last_note == "Restarted it."


def test_timeline_is_newest_first_and_says_when_it_is_cut(now):
    incident = make_incident(now=now, dedup_key="k")
    end(incident, now + MINUTE)

    timeline = queries.timeline_of(incident=incident, limit=2)

    assert [line.kind for line in timeline.lines] == ["resolved", "alert_resolved"]
    assert timeline.is_cut


def test_monitor_that_raised_an_alert_is_linked(now):
    monitor = make_monitor()
    incident = make_incident(now=now, source=f"monitor:{monitor.pk}")

    (line,) = queries.alerts_of(incident=incident)

    assert line.source_url == f"/monitors/{monitor.pk}/"


def test_timeline_names_the_key_that_acted_for_a_person(now):
    incident = make_incident(now=now)
    with acting(via=Via.API, by="Deploy bot"):
        services.acknowledge(
            incident_id=incident.pk, user=make_user(), via="api", now=now
        )

    line = queries.timeline_of(incident=incident, limit=1).lines[0]

    assert line.via == "the API (Deploy bot)"


def test_page_costs_the_same_however_long_its_story(now, django_assert_num_queries):
    make_priority_rules(*[make_channel() for _ in range(3)])
    incident = make_incident(now=now)
    user = make_user()
    for number in range(20):
        make_alert(now=now, service=incident.service)
        services.add_note(
            incident_id=incident.pk, user=user, via="web", now=now, text=str(number)
        )

    with django_assert_num_queries(10):
        loaded: Any = queries.incident(pk=incident.pk)
        assert loaded.firing_count == 21
        top = queries.top(incident=loaded)
        assert len(top.told) == len(top.next_names) == 3
        timeline = queries.timeline_of(incident=loaded)
        assert {line.who for line in timeline.lines} == {"", user.username}
        assert len(queries.alerts_of(incident=loaded)) == 20
        assert queries.similar(incident=loaded) == []


def test_next_page_is_said_to_go_where_it_goes(now):
    first, second = make_channel(name="Slack"), make_channel(name="Mail")
    make_priority_rules(first, second)
    incident = make_incident(now=now)
    Channel.objects.filter(pk=second.pk).update(is_enabled=False)

    said = queries.top(incident=queries.incident(pk=incident.pk)).next_names
    advance_due(now=now + 5 * MINUTE)

    last = incident.events.filter(kind="escalated").latest("pk")
    assert said == last.data["channels"] == ["Slack"]


def test_nobody_is_next_once_somebody_has_it(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)
    services.acknowledge(incident_id=incident.pk, user=make_user(), via="web", now=now)

    assert queries.top(incident=queries.incident(pk=incident.pk)).next_names == []


def test_runbooks_are_those_of_what_fires_then_the_services(now):
    service = make_service(runbook_url="https://wiki.example.org/service")
    for key, title, name in (
        ("a", "Slow", "slow"),
        ("b", "Down", "down"),
        ("c", "Over", "over"),
        ("d", "Down too", "down"),
    ):
        make_alert(
            now=now,
            service=service,
            dedup_key=key,
            title=title,
            priority="p1" if name == "slow" else "p0",
            runbook_url=f"https://wiki.example.org/{name}",
        )
    intake.resolve(dedup_key="c", now=now)
    incident = Incident.objects.get()

    found = queries.runbooks(
        incident=incident, alerts=queries.alerts_of(incident=incident)
    )

    assert [(runbook.url.rpartition("/")[2], runbook.title) for runbook in found] == [
        ("down", "Down too"),
        ("slow", "Slow"),
        ("service", ""),
    ]
