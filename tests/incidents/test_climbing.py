"""Climbing a policy: people, fall-through, deadlines, expiry, and what ends it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from incidents import alarms, intake, services
from incidents.advancing import advance_due
from incidents.models import (
    EscalationPolicy,
    Incident,
    IncidentEvent,
    PriorityRule,
    ServicePolicy,
    Team,
)
from notifications import gsm7
from notifications.message import Message
from notifications.models import Contact, Notification, PersonalRule, Provider
from notifications.texting import sms_text
from tests.factories import (
    make_address,
    make_channel,
    make_contact,
    make_policy,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.incidents.making import (
    deliver,
    kinds,
    make_alert,
    make_incident,
    names,
    outbox,
    pages_of,
    reread,
)
from tests.incidents.oncall.making import make_override, make_rotation, make_schedule
from tests.notifications.making import make_twilio

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
Kind = IncidentEvent.Kind


def make_person(name: str, *kinds_of_address: str, **values: Any) -> Contact:
    """Somebody with verified addresses of these kinds."""
    contact = make_contact(name=name, **values)
    for number, kind in enumerate(kinds_of_address or ("email",)):
        value = {
            "email": f"{name.lower()}{number}@example.org",
            "phone": f"+3361234567{contact.pk % 10}",
            "slack": f"U{contact.pk:06}",
        }[kind]
        make_address(contact=contact, kind=kind, value=value)
    return contact


def make_providers() -> None:
    Provider.objects.create(
        name="Twilio",
        kind="twilio",
        is_enabled=True,
        account="AC1",
        secret="s",
        sender="+33600000000",
        voice_sender="+33600000001",
    )


def follow(*steps: dict[str, Any], priority: str = "p0", **values: Any) -> PriorityRule:
    """Let a priority follow a policy of these steps; response within five minutes."""
    return PriorityRule.objects.create(
        priority=priority,
        response_s=300,
        policy=make_policy(*steps, name=priority.upper(), **values),
    )


def told(rows: Sequence[Notification]) -> list[tuple[str, str, int]]:
    """Who is told by what, after how many seconds."""
    return sorted(
        (
            row.address.contact.name if row.address else str(row.channel),
            row.method,
            int((row.next_attempt_at - row.queued_at).total_seconds()),
        )
        for row in rows
    )


def acting(now: datetime, **values: Any) -> dict[str, Any]:
    return {"user": make_user(), "via": "web", "now": now, **values}


def test_whoever_is_on_call_is_told_by_their_own_rules(now):
    make_providers()
    ana, ben = make_person("Ana", "email", "phone"), make_person("Ben")
    schedule = make_schedule(ana)
    follow({"schedules": [schedule], "contacts": [ben]})

    incident = make_incident(now=now)

    rows = pages_of(incident)
    assert told(rows) == [
        ("Ana", "email", 0),
        ("Ana", "sms", 0),
        ("Ana", "voice", 120),
        ("Ben", "email", 0),
    ]
    assert {row.route_key for row in rows} == {
        f"incident:{incident.pk}:page:0:contact:{ana.pk}",
        f"incident:{incident.pk}:page:0:contact:{ben.pk}",
    }
    assert {row.lane for row in rows} == {Notification.Lane.PAGING}
    assert all("/a/" in row.message["ack_url"] for row in rows)
    event = incident.events.get(kind=Kind.NOTIFIED)
    assert event.data["channels"] == ["Ana", "Ben"]
    assert event.data["to"][0] == {
        "name": "Ana",
        "methods": ["sms", "email", "voice"],
        "step": 1,
        "target": "schedule",
        "via": schedule.name,
    }


def test_who_is_on_call_is_asked_anew_for_each_page(now):
    ana, ben = make_person("Ana"), make_person("Ben")
    schedule = make_schedule(ana)
    make_override(schedule, ben, now + 4 * MINUTE, 1)
    follow({"schedules": [schedule], "repeat_s": 300})

    incident = make_incident(now=now)
    advance_due(now=now + 5 * MINUTE)

    assert [name for name, _method, _delay in told(pages_of(incident))] == [
        "Ana",
        "Ben",
    ]


def test_rules_of_a_person_say_how_and_when(now):
    make_providers()
    ana = make_person("Ana", "email", "phone")
    PersonalRule.objects.create(contact=ana, priority="p0", method="voice", delay_s=60)
    PersonalRule.objects.create(contact=ana, priority="p0", method="email")
    follow({"contacts": [ana]})

    assert told(pages_of(make_incident(now=now))) == [
        ("Ana", "email", 0),
        ("Ana", "voice", 60),
    ]


def test_second_step_comes_at_its_time_beside_the_repeats_of_the_first(now):
    ana, ben = make_person("Ana"), make_person("Ben")
    follow(
        {"contacts": [ana], "repeat_s": 300},
        {"contacts": [ben], "after_s": 600},
    )
    incident = make_incident(now=now)

    for minute in (5, 10, 15):
        advance_due(now=now + minute * MINUTE)

    numbers = [row.idempotency_key.split(":")[3] for row in pages_of(incident)]
    people = [row.address.contact.name for row in pages_of(incident) if row.address]
    assert list(zip(numbers, people, strict=True)) == [
        ("0", "Ana"),
        ("1", "Ana"),
        ("2", "Ana"),
        ("2", "Ben"),
        ("3", "Ana"),
    ]


@pytest.mark.parametrize("end", ["acknowledged", "resolved", "recovered", "snoozed"])
def test_whatever_ends_it_also_stops_what_was_to_come_later(now, end):
    make_providers()
    follow(
        {"contacts": [make_person("Ana", "phone")]},
        {"contacts": [make_person("Ben")], "after_s": 600},
    )
    incident = make_incident(now=now, dedup_key="k")
    deliver(now=now)
    assert [row.method for row in pages_of(incident, "queued")] == ["voice"]
    act = {"incident_id": incident.pk, **acting(now + MINUTE)}
    if end == "acknowledged":
        services.acknowledge(**act)
    elif end == "resolved":
        services.resolve_incident(**act, even_if_firing=True)
    elif end == "snoozed":
        services.snooze(**act, until=now + 60 * MINUTE)
    else:
        intake.resolve(dedup_key="k", now=now + MINUTE)

    advance_due(now=now + 20 * MINUTE)

    assert pages_of(incident, "queued") == []
    assert [row.method for row in pages_of(incident, "cancelled")] == ["voice"]


def test_who_was_paged_by_several_ways_hears_the_end_once_and_calmly(now):
    make_providers()
    ana = make_person("Ana", "phone", "email")
    ben = make_person("Ben", "phone")
    PersonalRule.objects.create(contact=ben, priority="p0", method="voice")
    follow({"contacts": [ana, ben], "channels": [make_channel(name="Ops")]})
    make_incident(now=now, dedup_key="k")
    deliver(now=now)

    intake.resolve(dedup_key="k", now=now + MINUTE)

    assert told(outbox("recovery")) == [
        ("Ana", "email", 0),
        ("Ben", "sms", 0),
        ("Ops", "", 0),
    ]


def test_who_never_got_a_page_does_not_hear_the_end(now):
    follow({"contacts": [make_person("Ana")]})
    make_incident(now=now, dedup_key="k")

    intake.resolve(dedup_key="k", now=now + MINUTE)

    assert outbox("recovery") == []


def test_step_of_an_empty_schedule_hands_on_at_once_and_the_portal_says_so(now):
    ben = make_person("Ben")
    follow(
        {"schedules": [make_schedule(name="On call")], "repeat_s": 300},
        {"contacts": [ben], "after_s": 600},
    )
    make_policy_for_own_alerts()

    incident = make_incident(now=now)
    advance_due(now=now)
    advance_due(now=now + 5 * MINUTE)

    assert told(pages_of(incident)) == [("Ben", "email", 0)] * 2
    lines = incident.events.filter(kind=Kind.EMPTY_STEP)
    assert [(line.data["step"], line.data["resort"]) for line in lines] == [(1, "step")]
    assert lines[0].data["misses"][0]["trouble"] == "nobody_on_call"
    own = own_incident()
    assert own.title == "Step 1 of the policy P0 reaches nobody"
    assert own.service.slug == "portal"
    assert own.priority == "p1"
    assert not own.is_public


def make_policy_for_own_alerts() -> None:
    follow({"channels": [make_channel(name="Support")]}, priority="p1")


def own_incident() -> Incident:
    return Incident.objects.select_related("service").get(
        grouping_key=alarms.GROUPING_KEY
    )


def test_alert_about_nobody_ends_with_the_incident_and_raises_no_other(now):
    make_priority_rules(make_channel(name="Off", is_enabled=False))
    make_incident(now=now, dedup_key="k")
    for minute in range(4):
        advance_due(now=now + minute * MINUTE)
    own = own_incident()
    assert own.is_untold
    assert Incident.objects.count() == 2

    intake.resolve(dedup_key="k", now=now + 5 * MINUTE)
    advance_due(now=now + 5 * MINUTE)

    assert not reread(own).is_open


def test_policy_that_reaches_nobody_goes_to_the_catch_all(now):
    make_person("Boss", is_catch_all=True)
    follow({"channels": [make_channel(is_enabled=False)]})

    incident = make_incident(now=now)

    assert told(pages_of(incident)) == [("Boss", "email", 0)]
    line = incident.events.get(kind=Kind.EMPTY_STEP)
    assert line.data["resort"] == "catch_all"


def test_person_whose_address_is_not_verified_is_nobody(now):
    ana = make_contact(name="Ana")
    make_address(contact=ana, is_verified=False)
    make_person("Boss", is_catch_all=True)
    follow({"contacts": [ana]})

    incident = make_incident(now=now)

    assert told(pages_of(incident)) == [("Boss", "email", 0)]


def test_everybody_of_a_team_is_told_once(now):
    ana, ben = make_person("Ana"), make_person("Ben")
    team = Team.objects.create(name="Backend")
    team.members.set([ana, ben])
    follow({"teams": [team], "contacts": [ana]})

    assert told(pages_of(make_incident(now=now))) == [
        ("Ana", "email", 0),
        ("Ben", "email", 0),
    ]


def test_page_that_every_address_refuses_goes_to_others(now):
    follow(
        {"contacts": [make_person("Ana")]},
        {"contacts": [make_person("Ben")], "after_s": 600},
    )
    incident = make_incident(now=now)
    Notification.objects.update(status="dead", ended_at=now)

    advance_due(now=now + MINUTE)

    assert told(pages_of(incident, "queued")) == [("Ben", "email", 0)]


def test_services_follow_their_own_policy(now):
    make_priority_rules(make_channel(name="All"))
    shop, other = make_service(), make_service()
    for priority, name in (("p1", "Shop P1"), ("", "Shop")):
        ServicePolicy.objects.create(
            service=shop,
            priority=priority,
            policy=make_policy({"channels": [make_channel(name=name)]}, name=name),
        )

    def who(service: Any, priority: str) -> list[str]:
        incident = make_incident(
            now=now, service=service, priority=priority, grouping_key=priority
        )
        return names(pages_of(incident))

    assert who(shop, "p0") == ["Shop"]
    assert who(shop, "p1") == ["Shop P1"]
    # The digest stays one unless the service has a line for that priority.
    assert who(shop, "p3") == []
    assert who(other, "p1") == ["All"]


def test_missed_deadline_is_recorded_once(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)

    for minute in (4, 5, 6):
        advance_due(now=now + minute * MINUTE)

    missed = reread(incident)
    assert missed.response_missed_at == now + 5 * MINUTE
    assert kinds(incident).count("response_missed") == 1


@pytest.mark.parametrize("last", ["acknowledged", "resolved", "priority_changed"])
def test_deadline_missed_while_the_engine_stood_still_is_recorded(now, last):
    follow({"contacts": [make_person("Ana")]})
    incident = make_incident(now=now, dedup_key="k")

    late = now + 7 * MINUTE
    match last:
        case "resolved":
            intake.resolve(dedup_key="k", now=late)
        case "acknowledged":
            services.acknowledge(incident_id=incident.pk, **acting(late))
        case _:
            services.change_priority(
                incident_id=incident.pk, **acting(late, priority="p2")
            )

    missed = reread(incident)
    assert missed.response_missed_at == now + 5 * MINUTE
    found = kinds(incident)
    assert found.count("response_missed") == 1
    assert found.index("response_missed") < found.index(last)
    advance_due(now=late)
    assert kinds(incident).count("response_missed") == 1


def test_deadline_of_what_somebody_had_in_time_is_not_missed(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)
    services.acknowledge(incident_id=incident.pk, **acting(now + 4 * MINUTE))
    services.unacknowledge(incident_id=incident.pk, **acting(now + 5 * MINUTE))

    advance_due(now=now + 60 * MINUTE)

    assert reread(incident).response_missed_at is None


@pytest.fixture
def expiring(now) -> EscalationPolicy:
    rule = follow(
        {"channels": [make_channel(name="Ops")]},
        {"channels": [make_channel(name="Boss")], "after_s": 600},
        ack_expires_s=1800,
    )
    assert rule.policy is not None
    return rule.policy


def test_acknowledgement_that_nobody_renews_expires_and_pages_from_the_start(
    now, expiring
):
    incident = make_incident(now=now)
    deliver(now=now)
    user = make_user(first_name="Ada")
    services.acknowledge(incident_id=incident.pk, user=user, via="web", now=now)

    assert advance_due(now=now + 29 * MINUTE) == 0
    advance_due(now=now + 30 * MINUTE)

    back = reread(incident)
    assert back.status == Incident.Status.TRIGGERED
    assert back.holder == ""
    assert back.first_acknowledged_at == now
    assert names(pages_of(incident, "queued")) == ["Ops"]
    assert "Ada" in pages_of(incident, "queued")[0].message["text"]
    assert kinds(incident)[-2:] == ["ack_expired", "notified"]
    assert back.next_escalation_at == now + 40 * MINUTE


def test_whoever_says_that_they_still_work_on_it_keeps_it(now, expiring):
    incident = make_incident(now=now)
    deliver(now=now)
    act = acting(now)
    services.acknowledge(incident_id=incident.pk, **act)

    services.acknowledge(incident_id=incident.pk, **{**act, "now": now + 20 * MINUTE})

    assert advance_due(now=now + 49 * MINUTE) == 0
    assert reread(incident).acknowledged_at == now
    assert kinds(incident)[-1] == "renewed"
    assert advance_due(now=now + 50 * MINUTE) == 1


@pytest.mark.parametrize(
    ("expires_s", "minutes"),
    [(0, None), (600, 11), (7200, 30)],
    ids=["never", "sooner", "no later"],
)
def test_acknowledgement_of_what_is_lowered_ends_as_the_new_policy_says(
    now, expiring, expires_s, minutes
):
    step = {"channels": [make_channel(name="Support")]}
    follow(step, priority="p1", ack_expires_s=expires_s)
    incident = make_incident(now=now)
    services.acknowledge(incident_id=incident.pk, **acting(now))

    services.change_priority(
        incident_id=incident.pk, priority="p1", **acting(now + MINUTE)
    )

    ends_at = None if minutes is None else now + minutes * MINUTE
    assert reread(incident).ack_expires_at == ends_at
    assert reread(incident).next_escalation_at == ends_at


@pytest.mark.parametrize("has_steps", [True, False], ids=["steps", "an empty policy"])
def test_lowered_before_anybody_was_told_is_told_by_the_new_policy(now, has_steps):
    follow({"contacts": [make_person("Ana")], "after_s": 120})
    catch_all = make_person("Zoe", is_catch_all=True)
    steps = [{"contacts": [make_person("Ben")]}] if has_steps else []
    follow(*steps, priority="p1")
    incident = make_incident(now=now)
    assert not pages_of(incident, "queued")

    services.change_priority(
        incident_id=incident.pk, priority="p1", **acting(now + MINUTE)
    )

    expected = "Ben" if has_steps else catch_all.name
    assert [name for name, *_ in told(pages_of(incident, "queued"))] == [expected]
    assert reread(incident).paged_at == now + MINUTE


def test_asking_for_the_next_step_pages_it_now_and_later_ones_keep_their_distance(now):
    people = [make_person(name) for name in ("Ana", "Ben", "Eve")]
    follow(
        {"contacts": people[:1], "repeat_s": 300},
        {"contacts": people[1:2], "after_s": 600},
        {"contacts": people[2:], "after_s": 900},
    )
    incident = make_incident(now=now)
    deliver(now=now)

    services.escalate_now(incident_id=incident.pk, **acting(now + MINUTE))

    assert told(pages_of(incident, "queued")) == [("Ben", "email", 0)]
    deliver(now=now + MINUTE)
    advance_due(now=now + 6 * MINUTE)
    assert [name for name, *_ in told(pages_of(incident, "queued"))] == ["Ana", "Eve"]
    assert kinds(incident)[2:4] == ["escalated_now", "notified"]


def test_whoever_asks_for_the_next_step_gives_the_incident_back(now):
    follow({"channels": [make_channel(name="Ops")]})
    incident = make_incident(now=now)
    deliver(now=now)
    act = acting(now)
    services.acknowledge(incident_id=incident.pk, **act)

    services.escalate_now(incident_id=incident.pk, **act)

    assert reread(incident).status == Incident.Status.TRIGGERED
    assert names(pages_of(incident, "queued")) == ["Ops"]


def test_next_step_of_what_tells_nobody_at_once_is_refused(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, priority="p3")

    with pytest.raises(services.UnableToEscalate, match="Raise the priority"):
        services.escalate_now(incident_id=incident.pk, **acting(now))


def test_priority_that_goes_up_and_down_can_not_keep_the_second_step_away(now):
    ops, boss = make_channel(name="Ops"), make_channel(name="Boss")
    follow({"channels": [ops]}, {"channels": [boss], "after_s": 600})
    follow({"channels": [ops]}, priority="p2")
    incident = make_incident(now=now, dedup_key="k")
    for minute in range(1, 10):
        deliver(now=now + minute * MINUTE)
        make_alert(
            now=now + minute * MINUTE,
            dedup_key="k",
            service=incident.service,
            priority="p2" if minute % 2 else "p0",
        )
        advance_due(now=now + minute * MINUTE)
    make_alert(
        now=now + 10 * MINUTE, dedup_key="k", service=incident.service, priority="p0"
    )

    advance_due(now=now + 10 * MINUTE)

    assert "Boss" in names(pages_of(incident))
    # Once at first, and once when that was too long ago to count.
    assert names(pages_of(incident)).count("Ops") == 2


def test_first_step_that_waits_pages_nobody_before(now):
    follow({"channels": [make_channel(name="Ops")], "after_s": 300})
    incident = make_incident(now=now)
    assert pages_of(incident) == []
    assert advance_due(now=now + 4 * MINUTE) == 0

    advance_due(now=now + 5 * MINUTE)

    (page,) = pages_of(incident)
    assert page.message["title"].startswith("P0 ")


def test_drill_never_joins_a_real_incident_and_follows_its_own_policy(now):
    make_priority_rules(make_channel(name="Ops"))
    policy = make_policy({"channels": [make_channel(name="Drill")]})
    real = make_incident(now=now)

    drill = make_incident(
        now=now, service=real.service, is_drill=True, policy=policy, dedup_key="d"
    )

    assert drill.pk != real.pk
    assert drill.is_drill
    assert not drill.is_public
    (page,) = pages_of(drill)
    assert names([page]) == ["Drill"]
    assert page.message["mark"] == "DRILL"
    assert page.message["short"].startswith("DRILL ")
    make_alert(
        now=now, dedup_key="d", service=real.service, priority="p1", is_drill=True
    )
    assert reread(drill).policy["steps"] == drill.policy["steps"]


def test_short_numbers_are_the_smallest_that_are_free_for_a_day(now):
    make_priority_rules(make_channel())
    first = make_incident(now=now, dedup_key="k")
    second = make_incident(now=now)
    intake.resolve(dedup_key="k", now=now)
    third = make_incident(now=now + MINUTE)
    fourth = make_incident(now=now + timedelta(days=1, minutes=1))

    assert [row.short_code for row in (first, second, third, fourth)] == [1, 2, 3, 1]


def test_sms_of_a_page_fits_one_part_and_ends_with_how_to_answer(now):
    make_providers()
    follow({"contacts": [make_person("Ana", "phone")]})
    incident = make_incident(now=now, title="The checkout is down " * 12)

    message = Message.from_json(pages_of(incident)[0].message)
    text = sms_text(message, can_reply=True)

    assert gsm7.width(text) <= 160
    assert text.startswith("P0 ")
    assert text.endswith(f"Reply {incident.short_code}a=ack")
    # Where nobody reads answers the link is the way.
    other = sms_text(message, can_reply=False)
    assert gsm7.width(other) <= 160
    assert other.endswith(message.ack_url)


def test_incident_from_before_there_were_steps_goes_on(now):
    channel = make_channel(name="Ops")
    make_priority_rules(channel)
    incident = make_incident(now=now)
    deliver(now=now)
    Incident.objects.filter(pk=incident.pk).update(
        escalation_began_at=None,
        escalation_runs=[],
        policy={
            "priority": "p0",
            "response_s": 300,
            "repeat_s": 300,
            "has_mention": True,
            "is_digest": False,
            "channel_ids": [channel.pk],
        },
    )

    advance_due(now=now + 5 * MINUTE)

    assert names(pages_of(incident, "queued")) == ["Ops"]
    assert reread(incident).next_escalation_at == now + 10 * MINUTE


def test_rotation_is_asked_through_the_same_door_as_the_calendar(now):
    ana, ben = make_person("Ana"), make_person("Ben")
    schedule = make_schedule()
    make_rotation(schedule, [ana, ben])
    follow({"schedules": [schedule]})

    (page,) = pages_of(make_incident(now=now))

    assert page.address is not None
    assert page.address.contact in {ana, ben}


def make_climb_to_p0(person: Contact) -> None:
    """P1 tells by mail alone, P0 by SMS and a late call too."""
    make_twilio(is_enabled=True)
    for priority, method, delay_s in (
        ("p1", "email", 0),
        ("p0", "email", 0),
        ("p0", "sms", 0),
        ("p0", "voice", 120),
    ):
        PersonalRule.objects.create(
            contact=person, priority=priority, method=method, delay_s=delay_s
        )
    policy = make_policy({"contacts": [person]})
    for priority in ("p0", "p1"):
        PriorityRule.objects.create(priority=priority, response_s=300, policy=policy)


def raise_to_p0(incident: Incident, now: datetime) -> None:
    services.change_priority(
        incident_id=incident.pk, user=make_user(), via="web", now=now, priority="p0"
    )


def test_who_had_a_mail_of_a_p1_gets_the_sms_of_the_p0_it_becomes(now):
    make_climb_to_p0(make_person("Ana", "email", "phone"))
    incident = make_incident(now=now, priority="p1")
    deliver(now=now)

    raise_to_p0(incident, now + MINUTE)

    told = [row.method for row in pages_of(incident, "queued")]
    assert sorted(told) == ["sms", "voice"]


def test_word_of_who_has_it_ends_the_pages_of_a_raise(now):
    make_climb_to_p0(make_person("Bo", "email", "phone"))
    incident = make_incident(now=now, priority="p1")
    ana = make_user(first_name="Ana")
    services.acknowledge(incident_id=incident.pk, user=ana, via="web", now=now)
    raise_to_p0(incident, now + MINUTE)
    assert pages_of(incident, "queued")

    services.acknowledge(
        incident_id=incident.pk, user=ana, via="web", now=now + 2 * MINUTE
    )

    assert not pages_of(incident, "queued")


def test_page_that_is_dropped_while_it_is_sent_is_written_anew_by_a_raise(now):
    make_priority_rules(make_channel(name="Ops"))
    incident = make_incident(now=now, priority="p1")
    Notification.objects.update(status="sending", lease_until=now + MINUTE)

    raise_to_p0(incident, now)

    assert names(pages_of(incident, "queued")) == ["Ops"]
