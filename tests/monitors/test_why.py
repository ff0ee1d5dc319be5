"""Why was nobody paged: each reason is found in what the tables keep."""

from __future__ import annotations

import html
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.urls import reverse

from incidents import intake, services
from incidents.advancing import advance_due
from incidents.collaboration import merging
from incidents.deploy_windows import open_window
from incidents.models import Alert, Incident, IncidentEvent
from monitors.models import Monitor, Threshold
from monitors.thresholds import down_alerts
from monitors.why import Account, account
from notifications.models import Notification
from tests.factories import (
    make_channel,
    make_monitor,
    make_policy,
    make_priority_rules,
    make_user,
)
from tests.history import (
    HOUR,
    MINUTE,
    Trouble,
    make_incident,
    make_ledger,
    make_results,
)
from tests.incidents import making as incidents_making

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_now(now):
    with time_machine.travel(now, tick=False):
        yield


@pytest.fixture
def monitor() -> Monitor:
    return make_monitor(name="Shop")


def make_threshold(**values: Any) -> Threshold:
    values.setdefault("name", "Is down")
    return Threshold.objects.create(
        measure="down", critical_priority=values.pop("priority", "p0"), **values
    )


def look(monitor: Monitor, at: Any, now: Any = None) -> Account:
    row = Monitor.objects.for_pages().get(pk=monitor.pk)
    return account(monitor=row, at=at, now=now or at)


def said(found: Account) -> list[str]:
    return [
        line.said
        for lines in (found.lines, *(one.lines for one in found.incidents))
        for line in lines
    ]


def fire(monitor: Monitor, now: Any) -> Incident:
    """Let the engine raise the alert, as it does when a monitor goes down."""
    down_alerts.judge_down(
        monitor=monitor, is_down=True, since=now, message="HTTP 503", now=now
    )
    return Alert.objects.latest("pk").incident


def make_down(monitor: Monitor, now: Any, **state: Any) -> None:
    trouble = Trouble("down", HOUR, None, "HTTP 503")
    make_ledger(monitor=monitor, now=now, troubles=[trouble], **state)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("paused", "because it was paused"),
        ("maintenance", "because it was in maintenance"),
        ("unknown", "because the portal could not look at it"),
        ("pending", "because there was no result of it yet"),
        ("up", "because it was not down"),
    ],
)
def test_a_status_of_the_past_is_the_reason(monitor, now, status, verdict):
    make_threshold()
    troubles = [Trouble(status, 2 * HOUR, HOUR, "Sunday work")]
    make_ledger(monitor=monitor, now=now, troubles=troubles)

    found = look(monitor, now - 90 * MINUTE, now)

    assert verdict in found.verdict
    assert found.status == status
    assert "Sunday work" in found.lines[0].said


def test_a_monitor_that_did_not_exist_is_said_so(monitor, now):
    make_ledger(monitor=monitor, now=now, age=HOUR)

    found = look(monitor, now - 2 * HOUR, now)

    assert found.lines[0].said == "The portal did not watch it yet."


def test_a_row_that_nobody_vouches_for_is_unknown(monitor, now):
    make_ledger(monitor=monitor, now=now, fresh_for=-10 * MINUTE)

    assert "could not look" in look(monitor, now).verdict


def test_failures_that_confirm_nothing_yet_are_counted(monitor, now):
    make_ledger(monitor=monitor, now=now)
    make_results(
        monitor=monitor,
        now=now,
        base_ms=50,
        reach=HOUR,
        failing=[(2 * MINUTE, MINUTE, 503)],
    )

    found = look(monitor, now)

    assert "2 failures in a row; it counts as down after 3." in found.verdict
    # Before they were there.
    assert "not down" in look(monitor, now - 5 * MINUTE, now).verdict


def test_down_without_a_threshold_alerts_nobody(monitor, now):
    make_down(monitor, now)
    make_threshold(is_enabled=False)

    found = look(monitor, now)

    assert "no enabled threshold" in found.verdict
    assert "HTTP 503" in found.lines[0].said


def test_a_threshold_that_waits_is_the_reason_until_it_is_over(monitor, now):
    make_down(monitor, now)
    make_threshold(for_s=7200, priority="p1")

    found = look(monitor, now)

    assert "only once it has been down for 2" in found.verdict
    assert any("is a P1." in line for line in said(found))


def test_somebody_who_was_paged_is_named(monitor, now):
    make_priority_rules(make_channel(name="Ops by mail"))
    make_down(monitor, now)
    make_threshold()
    fire(monitor, now)
    advance_due(now=now)
    Notification.objects.update(status="sent", ended_at=now + MINUTE)

    before = look(monitor, now)
    after = look(monitor, now + 2 * MINUTE)

    assert "the page was written and had not left" in before.verdict
    assert not before.has_reached
    assert "Somebody was paged: Ops by mail" in after.verdict
    assert after.has_reached


def test_pages_that_failed_say_how(monitor, now):
    make_priority_rules(make_channel(name="Ops by mail"))
    make_down(monitor, now)
    make_threshold()
    fire(monitor, now)
    Notification.objects.update(
        status="dead", ended_at=now, outcome="550 no such mailbox"
    )

    found = look(monitor, now)

    assert "no page about it was delivered" in found.verdict
    assert any("550 no such mailbox" in line for line in said(found))


def test_a_page_that_its_provider_lost_has_reached_nobody(monitor, now):
    make_priority_rules(make_channel())
    make_down(monitor, now)
    make_threshold()
    fire(monitor, now)
    Notification.objects.update(status="sent", ended_at=now, delivery_status="failed")

    found = look(monitor, now)

    assert not found.has_reached
    assert any("could not deliver" in line for line in said(found))


def test_a_page_told_with_others_counts_when_these_left(monitor, now):
    make_priority_rules(make_channel())
    make_down(monitor, now)
    make_threshold()
    fire(monitor, now)
    row = Notification.objects.get()
    carrier = Notification.objects.get()
    carrier.pk, carrier.idempotency_key = None, "another"
    carrier.subject_key, carrier.status, carrier.ended_at = "bundle", "sent", now
    carrier.save()
    Notification.objects.filter(pk=row.pk).update(
        status="bundled", bundled_into=carrier
    )

    found = look(monitor, now)

    assert found.has_reached
    assert any("told in one message with others" in line for line in said(found))


def test_a_digest_tells_nobody_at_once(monitor, now):
    make_priority_rules(make_channel())
    make_down(monitor, now)
    make_threshold(priority="p3")
    fire(monitor, now)

    found = look(monitor, now)

    assert "waits for the daily digest" in found.verdict


def test_steps_outside_of_their_hours_are_named(monitor, now):
    rules = make_priority_rules()
    # A Monday; the only step is for Tuesdays.
    rules["p0"].policy = make_policy(
        {"channels": [make_channel()], "only_weekdays": ["tue"]}
    )
    rules["p0"].save()
    make_down(monitor, now)
    make_threshold()
    fire(monitor, now)

    found = look(monitor, now)

    assert "Step 1 is outside of its hours until" in found.verdict


def test_a_step_that_comes_later_is_no_fault(monitor, now):
    rules = make_priority_rules()
    rules["p0"].policy = make_policy({"channels": [make_channel()], "after_s": 600})
    rules["p0"].save()
    make_down(monitor, now)
    make_threshold()
    fire(monitor, now)

    assert "Nobody was paged yet. Step 1 comes at" in look(monitor, now).verdict


def test_nothing_that_could_carry_a_page_is_said(monitor, now):
    make_priority_rules(make_channel(is_enabled=False))
    make_down(monitor, now)
    make_threshold()
    fire(monitor, now)

    found = look(monitor, now)

    assert "nothing could carry a page" in found.verdict
    assert any("Nobody could be told" in line for line in said(found))


def test_an_acknowledgement_and_a_snooze_hold_for_their_time_only(monitor, now):
    make_priority_rules(make_channel())
    make_down(monitor, now)
    make_threshold()
    incident = fire(monitor, now)
    ana = make_user(first_name="Ana", last_name="Lem", is_superuser=True)
    services.acknowledge(incident_id=incident.pk, user=ana, via="web", now=now + MINUTE)
    later = now + 10 * MINUTE
    services.unacknowledge(incident_id=incident.pk, user=ana, via="web", now=later)
    services.snooze(
        incident_id=incident.pk,
        user=ana,
        via="web",
        until=later + HOUR,
        now=later + MINUTE,
    )

    had = look(monitor, now + 2 * MINUTE, later)
    quiet = look(monitor, later + 2 * MINUTE)

    assert had.verdict == "Nobody was paged, because Ana Lem had acknowledged it."
    assert "snoozed until" in quiet.verdict


def test_a_priority_that_changed_since_is_said(monitor, now):
    make_priority_rules(make_channel())
    make_down(monitor, now)
    make_threshold(priority="p3")
    incident = fire(monitor, now)
    services.change_priority(
        incident_id=incident.pk,
        priority="p0",
        user=make_user(is_superuser=True),
        via="web",
        now=now + MINUTE,
    )

    assert any("Its priority was P3 then" in line for line in said(look(monitor, now)))


def test_an_incident_without_a_policy_is_told_all_the_same(monitor, now):
    make_down(monitor, now)
    make_incident(monitor=monitor, service=monitor.service, started_at=now - HOUR)

    assert "no page had been written by then" in look(monitor, now).verdict


def test_a_deploy_window_that_holds_the_alert_back_is_the_reason(monitor, now):
    make_down(monitor, now)
    make_threshold(priority="p1")
    open_window(service=monitor.service, minutes=30, reason="1.4", now=now - MINUTE)
    down_alerts.judge_down(
        monitor=monitor, is_down=True, since=now, message="HTTP 503", now=now
    )

    found = look(monitor, now + MINUTE)

    assert "because a deploy window held its alert back" in found.verdict
    assert any("held back by a deploy window" in line for line in said(found))


def test_a_drill_pages_for_no_outage(monitor, now):
    make_down(monitor, now)
    make_incident(
        monitor=monitor, service=monitor.service, started_at=now - HOUR, is_drill=True
    )

    assert not look(monitor, now).incidents


def test_what_was_merged_since_is_looked_at_as_it_was(monitor, now):
    """The alert has moved into another incident; then it had pages of its own."""
    make_priority_rules(make_channel())
    make_down(monitor, now)
    make_threshold()
    incident = fire(monitor, now)
    target = incidents_making.make_incident(
        now=now + timedelta(minutes=30),
        service=monitor.service,
        grouping_key="another",
    )
    merging.merge(
        incident_id=incident.pk,
        into_id=target.pk,
        user=make_user(),
        via="web",
        now=now + timedelta(minutes=31),
    )

    found = look(monitor, now + timedelta(minutes=1))

    assert [one.incident for one in found.incidents] == [incident]


def test_it_costs_the_same_queries_however_much_happened(
    monitor, now, django_assert_max_num_queries
):
    make_priority_rules(make_channel())
    make_down(monitor, now)
    make_threshold()
    incident = fire(monitor, now)
    for number in range(30):
        IncidentEvent.objects.create(
            incident=incident, at=now, kind="woken", data={"cause": ""}
        )
        intake.trigger(
            dedup_key=f"monitor:{monitor.pk}:{number}",
            service=monitor.service,
            title="Slow",
            priority="p1",
            started_at=now,
            now=now,
            source=f"monitor:{monitor.pk}",
        )
    row = Monitor.objects.for_pages().get(pk=monitor.pk)

    # One of them asks for what was merged since, one for what a deploy window held.
    with django_assert_max_num_queries(8):
        account(monitor=row, at=now, now=now)


class TestPage:
    @pytest.fixture
    def client(self, client):
        client.force_login(make_user(is_superuser=True))
        return client

    def ask(self, client, **values):
        answer = client.get(reverse("why"), values)
        assert answer.status_code == 200
        return html.unescape(answer.content.decode())

    def test_without_a_question_it_says_what_will_stand_there(self, client):
        assert "Choose a monitor and a moment" in self.ask(client)

    def test_it_answers_a_wall_time_and_an_instant(self, client, monitor, now):
        make_down(monitor, now)
        at = now - timedelta(minutes=30)

        for asked in (at.isoformat(), ""):
            text = self.ask(client, monitor=monitor.pk, at=asked)

            assert "no enabled threshold makes an alert of it" in text
            assert "HTTP 503" in text

    @pytest.mark.parametrize(
        "wrong",
        [
            {"monitor": "0"},
            {"at": "soon"},
            {"at": "0001-01-01T00:00Z"},
            {"at": "9999-12-31T23:59Z"},
        ],
    )
    def test_what_makes_no_sense_is_said_at_its_field(self, client, monitor, wrong):
        text = self.ask(client, **{"monitor": monitor.pk, **wrong})

        assert 'role="alert"' in text

    def test_the_monitor_page_and_the_simulator_lead_there(self, client, monitor, now):
        make_down(monitor, now)

        page = client.get(reverse("monitors:detail", args=[monitor.pk]))
        simulator = client.get(reverse("simulator"))

        assert f"{reverse('why')}?monitor={monitor.pk}" in page.content.decode()
        assert f'href="{reverse("why")}"' in simulator.content.decode()


def test_api_answers_as_the_page_does(client, monitor, now):
    client.force_login(make_user(is_superuser=True))
    make_threshold()
    make_priority_rules(make_channel())
    incident = fire(monitor, now)
    url = f"/api/v1/monitors/{monitor.pk}/why/"

    answer = client.get(url).json()

    found = look(monitor, now)
    assert (answer["verdict"], answer["has_reached"]) == (
        found.verdict,
        found.has_reached,
    )
    assert [one["incident"] for one in answer["incidents"]] == [incident.pk]
    assert [one["text"] for one in answer["lines"]] == [
        line.said for line in found.lines
    ]
    assert client.get(url, {"at": "yesterday"}).status_code == 400
    assert client.get("/api/v1/monitors/987654/why/").status_code == 404


def test_api_asks_for_both_permissions(client, monitor):
    url = f"/api/v1/monitors/{monitor.pk}/why/"
    user = make_user()
    client.force_login(user)
    for codename in ("view_monitor", "view_incident"):
        user.user_permissions.set([Permission.objects.get(codename=codename)])
        assert client.get(url).status_code == 403

    user.user_permissions.set(
        Permission.objects.filter(codename__in=["view_monitor", "view_incident"])
    )
    assert client.get(url).status_code == 200
