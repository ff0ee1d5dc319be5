"""Two incidents that turn out to be one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from incidents import intake, services
from incidents.collaboration import merging
from incidents.models import Alert, Incident
from notifications.models import Notification
from tests.factories import make_channel, make_priority_rules, make_service, make_user
from tests.incidents.making import (
    deliver,
    kinds,
    make_alert,
    make_incident,
    outbox,
    pages_of,
    reread,
)

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _matrix() -> None:
    make_priority_rules(make_channel(name="Ops"))


@pytest.fixture
def user():
    return make_user(first_name="Ada")


def acting(user: Any, now: Any) -> dict[str, Any]:
    return {"user": user, "via": "web", "now": now}


def merged(user: Any, now: Any, **values: Any) -> tuple[Incident, Incident]:
    source = make_incident(now=now, dedup_key="source", title="API slow", **values)
    target = make_incident(now=now, dedup_key="target", title="Database full")
    merging.merge(incident_id=source.pk, into_id=target.pk, **acting(user, now))
    return reread(source), reread(target)


def test_alerts_go_to_the_other_incident_and_this_one_is_over(now, user):
    source, target = merged(user, now)

    assert source.status == Incident.Status.RESOLVED
    assert source.merged_into == target
    assert source.resolver == "Ada"
    assert source.next_escalation_at is None
    assert source.alerts.count() == 0
    assert target.alerts.count() == 2
    assert kinds(source)[-1] == "merged"
    assert "took_in" in kinds(target)


def test_later_alerts_of_the_merged_group_go_to_the_other_while_it_is_open(now, user):
    service = make_service()
    _source, target = merged(user, now, service=service)

    later = make_alert(now=now + MINUTE, dedup_key="later", service=service)
    again = make_alert(now=now + MINUTE, dedup_key="source", service=service)

    assert later.incident == target
    assert again.incident == target
    assert again.trigger_count == 2
    assert Incident.objects.count() == 2


def test_after_the_end_of_the_other_the_group_has_its_own_incident_again(now, user):
    service = make_service()
    source, target = merged(user, now, service=service)
    for key in ("source", "target"):
        intake.resolve(dedup_key=key, now=now)
    assert reread(target).status == Incident.Status.RESOLVED

    later = make_alert(now=now + MINUTE, dedup_key="later", service=service)

    assert later.incident.pk not in {source.pk, target.pk}
    # What a person merged was no end by itself: it does not flap.
    assert not later.incident.is_flapping


def test_merge_made_by_mistake_is_parted_by_resolving_the_other_with_its_alerts(
    now, user
):
    at_source = make_service()
    source, target = merged(user, now, service=at_source)

    services.resolve_incident(
        incident_id=target.pk, even_if_firing=True, **acting(user, now)
    )
    parted = [
        make_alert(now=now + MINUTE, dedup_key=key, service=service).incident
        for key, service in (("source", at_source), ("target", target.service))
    ]

    assert len({source.pk, target.pk, *(row.pk for row in parted)}) == 4
    assert [row.service for row in parted] == [at_source, target.service]
    assert all(pages_of(row, "queued") for row in parted)


def test_other_incident_ends_with_the_last_alert_of_both(now, user):
    _source, target = merged(user, now)

    intake.resolve(dedup_key="target", now=now)
    assert reread(target).is_open
    intake.resolve(dedup_key="source", now=now)
    assert not reread(target).is_open


def test_merged_once_more_there_is_no_chain(now, user):
    service = make_service()
    source, target = merged(user, now, service=service)
    third = make_incident(now=now)

    merging.merge(incident_id=target.pk, into_id=third.pk, **acting(user, now))

    assert reread(source).merged_into == third
    later = make_alert(now=now, dedup_key="later", service=service)
    assert later.incident == third


def test_the_other_takes_the_higher_priority_and_tells_who_does_not_know(now, user):
    source = make_incident(now=now, priority="p0")
    target = make_incident(now=now, priority="p2")
    deliver(now=now)

    merging.merge(incident_id=source.pk, into_id=target.pk, **acting(user, now))

    assert reread(target).priority == "p0"
    pages = Notification.objects.filter(subject_key=f"incident:{target.pk}")
    assert pages.count() >= 1


def test_the_other_takes_the_earlier_beginning(now, user):
    source = make_incident(now=now, started_at=now - 5 * MINUTE)
    target = make_incident(now=now)

    merging.merge(incident_id=source.pk, into_id=target.pk, **acting(user, now))

    assert reread(target).started_at == now - 5 * MINUTE


def test_who_was_paged_hears_where_it_goes_on_and_nobody_hears_resolved(now, user):
    source = make_incident(now=now, title="API slow")
    target = make_incident(now=now, title="Database full")
    deliver(now=now)

    merging.merge(incident_id=source.pk, into_id=target.pk, **acting(user, now))

    [row] = outbox(purpose="update")
    assert row.subject_key == f"incident:{source.pk}"
    assert f"#{target.pk}" in row.message["text"]
    assert outbox(purpose="recovery") == []


def test_unsent_pages_of_the_merged_one_are_withdrawn(now, user):
    source, _target = merged(user, now)

    rows = Notification.objects.filter(subject_key=f"incident:{source.pk}")
    assert {row.status for row in rows} == {Notification.Status.CANCELLED}


def test_acknowledgement_of_the_other_stays(now, user):
    source, target = make_incident(now=now), make_incident(now=now)
    services.acknowledge(incident_id=target.pk, **acting(user, now))

    merging.merge(incident_id=source.pk, into_id=target.pk, **acting(user, now))

    assert reread(target).holder == "Ada"
    assert reread(target).next_escalation_at is None


def test_what_is_over_and_what_is_the_same_is_refused(now, user):
    one, other = make_incident(now=now, dedup_key="k"), make_incident(now=now)
    intake.resolve(dedup_key="k", now=now)

    for pair in ((one, other), (other, one)):
        with pytest.raises(merging.UnableToMerge, match="is over"):
            merging.merge(
                incident_id=pair[0].pk, into_id=pair[1].pk, **acting(user, now)
            )
    with pytest.raises(merging.UnableToMerge, match="this incident"):
        merging.merge(incident_id=other.pk, into_id=other.pk, **acting(user, now))
    with pytest.raises(merging.UnableToMerge, match="no incident #987654"):
        merging.merge(incident_id=other.pk, into_id=987_654, **acting(user, now))
    with pytest.raises(Incident.DoesNotExist):
        merging.merge(incident_id=987_654, into_id=other.pk, **acting(user, now))


def test_drill_and_real_incident_stay_apart(now, user):
    drill, real = make_incident(now=now), make_incident(now=now)
    Incident.objects.filter(pk=drill.pk).update(is_drill=True)

    with pytest.raises(merging.UnableToMerge, match="drill"):
        merging.merge(incident_id=drill.pk, into_id=real.pk, **acting(user, now))

    assert Alert.objects.filter(incident=drill).exists()
