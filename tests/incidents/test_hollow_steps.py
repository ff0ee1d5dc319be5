"""A step that names nobody any more is told of before an incident meets it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from incidents import sources
from incidents.hollow_steps import watch_policies
from incidents.models import Alert, EscalationPolicy, PriorityRule, Team
from incidents.tasks import remind
from notifications.models import Contact
from tests.factories import make_channel, make_contact, make_policy

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def ana() -> Contact:
    return make_contact(name="Ana")


def followed(*steps, **values) -> EscalationPolicy:
    policy = make_policy(*steps, name="P0")
    PriorityRule.objects.create(priority="p0", response_s=300, policy=policy, **values)
    return policy


def firing() -> list[Alert]:
    return list(Alert.objects.filter(status=Alert.Status.FIRING))


def test_deleted_person_leaves_no_empty_step_unnoticed(now, ana):
    policy = followed(
        {"channels": [make_channel()]}, {"contacts": [ana], "after_s": 600}
    )
    watch_policies(now=now)
    assert firing() == []

    ana.delete()
    for minutes in (0, 10, 20):
        watch_policies(now=now + timedelta(minutes=minutes))

    (alert,) = firing()
    assert alert.title == "Step 2 of the policy P0 reaches nobody"
    assert alert.priority == "p3"
    assert alert.incident.service.slug == "portal"
    assert alert.incident.alerts.count() == 1
    assert sources.names_of([alert.source]) == {alert.source: "P0"}
    assert sources.url_of(alert.source).endswith(f"/{policy.pk}/change/")

    policy.steps.get(after_s=600).contacts.add(make_contact(name="Ben"))
    watch_policies(now=now + HOUR)
    assert firing() == []


def test_person_who_is_switched_off_is_nobody_alone_and_in_a_team(now, ana):
    team = Team.objects.create(name="Backend")
    team.members.add(ana)
    followed({"contacts": [ana]}, {"teams": [team], "after_s": 600})

    Contact.objects.update(is_enabled=False)
    watch_policies(now=now)

    assert [alert.title for alert in firing()] == [
        "Step 1 of the policy P0 reaches nobody"
    ]


def test_policy_without_a_step_is_told_of(now):
    followed()

    watch_policies(now=now)

    assert [alert.title for alert in firing()] == ["The policy P0 reaches nobody"]


def test_policy_that_nobody_follows_and_one_that_waits_for_the_digest_are_left_alone(
    now, ana
):
    make_policy({"contacts": []}, name="Draft")
    followed({"contacts": []}, is_digest=True)

    watch_policies(now=now)

    assert firing() == []


def test_looking_asks_four_questions(now, ana, django_assert_num_queries):
    followed({"contacts": [ana]}, {"channels": [make_channel()], "after_s": 60})

    with django_assert_num_queries(4):
        watch_policies(now=now)


def test_tick_looks():
    followed()

    remind()

    assert len(firing()) == 1
