"""When a postmortem is due, and how it is written."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from incidents import intake, services
from incidents.collaboration import postmortems, roles
from incidents.models import Incident, Postmortem
from incidents.people import Actor
from tests.factories import make_contact, make_service, make_user
from tests.incidents.making import make_incident

pytestmark = pytest.mark.django_db

WHOLE = {"summary": "It broke.", "impact": "Nobody could sign in.", "cause": "Disk."}


@pytest.fixture
def ada():
    return make_user(first_name="Ada")


def acting(user: Any, now: Any) -> dict[str, Any]:
    return {"user": user, "via": "web", "now": now}


def over(now: datetime, **values: Any) -> Incident:
    incident = make_incident(now=now, dedup_key="k", **values)
    intake.resolve(dedup_key="k", now=now)
    return incident


@pytest.mark.parametrize(
    ("priority", "is_due"), [("p0", True), ("p1", True), ("p2", False), ("p3", False)]
)
def test_end_of_a_p0_or_p1_makes_one_due(now, priority, is_due):
    incident = over(now, priority=priority)

    assert Postmortem.objects.filter(incident=incident).exists() == is_due


@pytest.mark.parametrize(
    ("ended", "due"),
    [
        # A Monday; the week after.
        (datetime(2026, 3, 2, 9, tzinfo=UTC), date(2026, 3, 9)),
        # A Sunday evening in Paris is still Saturday in UTC nowhere: count from it.
        (datetime(2026, 3, 1, 20, tzinfo=UTC), date(2026, 3, 6)),
        # 23:30 UTC is the next day in Paris.
        (datetime(2026, 3, 2, 23, 30, tzinfo=UTC), date(2026, 3, 10)),
        # 1, 8 and 14 May 2026 are public holidays in France.
        (datetime(2026, 4, 30, 9, tzinfo=UTC), date(2026, 5, 11)),
        (datetime(2026, 5, 7, 9, tzinfo=UTC), date(2026, 5, 18)),
    ],
)
def test_it_is_due_five_working_days_after_the_end(ended, due):
    incident = over(ended)

    assert Postmortem.objects.get(incident=incident).due_on == due


def test_what_it_was_at_its_worst_decides(now, ada):
    incident = make_incident(now=now, dedup_key="k")
    services.change_priority(incident_id=incident.pk, priority="p2", **acting(ada, now))

    intake.resolve(dedup_key="k", now=now)

    assert Postmortem.objects.filter(incident=incident).exists()


def test_drill_needs_none(now):
    incident = make_incident(now=now, dedup_key="k")
    Incident.objects.filter(pk=incident.pk).update(is_drill=True)

    intake.resolve(dedup_key="k", now=now)

    assert not Postmortem.objects.exists()


def test_commander_writes_it_else_who_had_it(now, ada):
    incident = make_incident(now=now, dedup_key="k")
    services.acknowledge(incident_id=incident.pk, **acting(ada, now))
    roles.give_role(
        incident_id=incident.pk,
        role="commander",
        to=Actor(contact=make_contact(name="Bo")),
        **acting(ada, now),
    )
    other = make_incident(now=now, dedup_key="l")
    services.acknowledge(incident_id=other.pk, **acting(ada, now))

    for key in ("k", "l"):
        intake.resolve(dedup_key=key, now=now)

    assert Postmortem.objects.get(incident=incident).owner_name == "Bo"
    assert Postmortem.objects.get(incident=other).owner_name == "Ada"


def test_flapping_moves_the_day_and_doubles_nothing(now):
    service = make_service()
    incident = over(now, service=service)
    intake.trigger(
        dedup_key="k",
        service=service,
        title="t",
        priority="p0",
        started_at=now,
        now=now,
    )

    intake.resolve(dedup_key="k", now=now)

    assert Postmortem.objects.get().incident == incident


def test_it_is_written_in_steps_and_finished_when_whole(now, ada):
    incident = over(now)

    postmortems.save(
        incident_id=incident.pk, parts={"summary": "It broke."}, **acting(ada, now)
    )
    with pytest.raises(postmortems.UnableToFinish, match="Impact, Causes"):
        postmortems.finish(incident_id=incident.pk, **acting(ada, now))
    postmortems.save(incident_id=incident.pk, parts=WHOLE, **acting(ada, now))
    row = postmortems.finish(incident_id=incident.pk, **acting(ada, now))

    assert row.status == Postmortem.Status.FINISHED
    assert row.ended_by_name == "Ada"
    with pytest.raises(postmortems.UnableToWrite, match="closed"):
        postmortems.save(incident_id=incident.pk, parts=WHOLE, **acting(ada, now))
    postmortems.reopen(incident_id=incident.pk, **acting(ada, now))
    postmortems.save(incident_id=incident.pk, parts=WHOLE, **acting(ada, now))


def test_nobody_overwrites_what_they_have_not_seen(now, ada):
    incident = over(now)
    postmortems.save(
        incident_id=incident.pk, parts={"cause": "A"}, expected=0, **acting(ada, now)
    )

    with pytest.raises(postmortems.ChangedMeanwhile, match="Ada has saved it"):
        postmortems.save(
            incident_id=incident.pk,
            parts={"cause": "B"},
            expected=0,
            **acting(make_user(), now),
        )

    assert Postmortem.objects.get().cause == "A"


def test_it_can_be_waived_with_a_reason_only(now, ada):
    incident = over(now)

    with pytest.raises(postmortems.UnableToWrite, match="Say why"):
        postmortems.waive(incident_id=incident.pk, reason=" ", **acting(ada, now))
    postmortems.waive(
        incident_id=incident.pk, reason="A false alarm", **acting(ada, now)
    )

    assert Postmortem.objects.get().status == Postmortem.Status.WAIVED


def test_anybody_may_begin_one_that_is_not_due(now, ada):
    incident = over(now, priority="p3")

    row = postmortems.save(incident_id=incident.pk, parts=WHOLE, **acting(ada, now))

    assert row.due_on is None
    assert row.owner_name == "Ada"


def test_open_incident_has_a_draft_but_no_end(now, ada):
    incident = make_incident(now=now)
    postmortems.save(incident_id=incident.pk, parts=WHOLE, **acting(ada, now))

    with pytest.raises(postmortems.UnableToFinish, match="still open"):
        postmortems.finish(incident_id=incident.pk, **acting(ada, now))


def test_part_that_is_too_long_is_named(now, ada):
    incident = over(now)

    with pytest.raises(postmortems.UnableToWrite, match="“Lessons” has 20001"):
        postmortems.save(
            incident_id=incident.pk,
            parts={"lessons": "x" * 20_001},
            **acting(ada, now),
        )
