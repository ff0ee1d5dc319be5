"""People who agree on things in the same instant, while alerts fire and end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from incidents import intake, services
from incidents.collaboration import handovers, merging
from incidents.models import Alert, Handover, Incident
from incidents.people import Actor
from tests.factories import (
    make_channel,
    make_contact,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.incidents.making import kinds, make_incident, reread
from tests.incidents.test_racing import ROUNDS, race

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)


def acting(user: Any, now: datetime) -> dict[str, Any]:
    return {"user": user, "via": "web", "now": now}


def unless_refused(act: Any) -> Any:
    """Do it; the state may forbid it by the time that it is one's turn."""

    def do() -> None:
        with suppress(services.UnableToAct):
            act()

    return do


def race_all(*acts: Callable[[], object]) -> None:
    """Do the acts at once; each must get through."""
    errors = [result for result in race(*acts) if isinstance(result, Exception)]
    assert errors == []


def assert_whole() -> None:
    """No alert fires on an incident that is over, and none was doubled."""
    firing = Alert.objects.filter(status=Alert.Status.FIRING)
    assert not firing.filter(incident__status=Incident.Status.RESOLVED).exists()
    for incident in Incident.objects.open():
        assert incident.alerts.filter(status=Alert.Status.FIRING).exists()


def test_merge_while_alerts_of_the_group_fire_loses_none(now):
    make_priority_rules(make_channel())
    user = make_user()
    for number in range(ROUNDS):
        service = make_service()
        source = make_incident(now=now, service=service, dedup_key=f"s{number}")
        target = make_incident(now=now)
        fire = partial(
            intake.trigger,
            service=service,
            title="t",
            priority="p0",
            started_at=now,
            now=now,
        )

        race_all(
            partial(
                merging.merge,
                incident_id=source.pk,
                into_id=target.pk,
                **acting(user, now),
            ),
            partial(fire, dedup_key=f"a{number}"),
            partial(fire, dedup_key=f"b{number}"),
            # Again, of the one that moves.
            partial(fire, dedup_key=f"s{number}"),
        )

        assert reread(source).merged_into == target
        assert target.alerts.filter(status=Alert.Status.FIRING).count() == 4
        assert Incident.objects.filter(service=service).count() == 1
        assert_whole()


def test_alert_that_ends_during_a_merge_stays_ended(now):
    make_priority_rules(make_channel())
    user = make_user()
    for number in range(ROUNDS):
        source = make_incident(now=now, dedup_key=f"s{number}")
        target = make_incident(now=now)

        race_all(
            unless_refused(
                partial(
                    merging.merge,
                    incident_id=source.pk,
                    into_id=target.pk,
                    **acting(user, now),
                )
            ),
            partial(intake.resolve, dedup_key=f"s{number}", now=now),
        )

        assert Alert.objects.get(dedup_key=f"s{number}").status == "resolved"
        assert reread(source).status == Incident.Status.RESOLVED
        assert_whole()


def test_resolve_during_a_merge_leaves_nothing_half_done(now):
    make_priority_rules(make_channel())
    user, other = make_user(), make_user()
    for _number in range(ROUNDS):
        source, target = make_incident(now=now), make_incident(now=now)
        resolve = partial(
            services.resolve_incident, even_if_firing=True, **acting(other, now)
        )

        race_all(
            unless_refused(
                partial(
                    merging.merge,
                    incident_id=source.pk,
                    into_id=target.pk,
                    **acting(user, now),
                )
            ),
            unless_refused(partial(resolve, incident_id=source.pk)),
            unless_refused(partial(resolve, incident_id=target.pk)),
        )

        for incident in (source, target):
            ends = {"resolved", "merged"} & set(kinds(incident))
            assert len(ends) == (0 if reread(incident).is_open else 1)
        assert_whole()


def test_merging_each_into_the_other_keeps_one(now):
    make_priority_rules(make_channel())
    user = make_user()
    for _number in range(ROUNDS):
        one, other = make_incident(now=now), make_incident(now=now)

        race_all(
            *[
                unless_refused(
                    partial(
                        merging.merge,
                        incident_id=source.pk,
                        into_id=target.pk,
                        **acting(user, now),
                    )
                )
                for source, target in ((one, other), (other, one))
            ]
        )

        assert sorted(reread(each).is_open for each in (one, other)) == [False, True]
        assert_whole()


def test_hand_over_accepted_twice_at_once_is_made_once(now):
    make_priority_rules(make_channel())
    holder = make_user()
    for _number in range(ROUNDS):
        incident = make_incident(now=now)
        user = make_user()
        taker = Actor(user, make_contact(user=user))
        services.acknowledge(incident_id=incident.pk, **acting(holder, now))
        handovers.ask(incident_id=incident.pk, to=taker, **acting(holder, now))
        accept = partial(handovers.accept, incident_id=incident.pk)

        race_all(
            partial(accept, **acting(user, now)),
            partial(accept, **acting(user, now)),
            # And by SMS.
            partial(
                services.acknowledge,
                incident_id=incident.pk,
                user=None,
                contact=taker.contact,
                via="sms",
                now=now,
            ),
        )

        assert reread(incident).acknowledged_by == user
        assert kinds(incident).count("handed_over") == 1
        assert Handover.objects.get(incident=incident).status == "accepted"


def test_of_two_who_are_asked_at_once_one_question_stands(now):
    make_priority_rules(make_channel())
    holder = make_user()
    for _number in range(ROUNDS):
        incident = make_incident(now=now)
        services.acknowledge(incident_id=incident.pk, **acting(holder, now))
        ask = partial(handovers.ask, incident_id=incident.pk, **acting(holder, now))

        race_all(
            *[partial(ask, to=Actor(contact=make_contact())) for _each in range(3)]
        )

        found = Handover.objects.filter(incident=incident)
        assert sorted(found.values_list("status", flat=True)) == [
            "asked",
            "withdrawn",
            "withdrawn",
        ]
