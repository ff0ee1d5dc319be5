"""The one way to raise: whatever finds something wrong comes through this door.

The functions work in the caller's transaction, so that a status and its alert commit
together. A caller that raises or ends several alerts in one transaction goes through
them in the order of service, grouping key and dedup key; otherwise two of them can wait
for each other and PostgreSQL makes one start over.

While a deploy window is open over a service, what is below P0 and has no open incident
waits (`HeldAlert`); it is raised when the window ends (`release`), unless it is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q

from incidents import (
    escalation,
    grouping,
    held_back,
    lifecycle,
    priorities,
    timeline,
)
from incidents.conditions import (
    MAX_DETAIL,
    MAX_KEY,
    MAX_SOURCE,
    MAX_TITLE,
    MAX_URL,
    Condition,
    storable,
)
from incidents.models import (
    Alert,
    EscalationPolicy,
    HeldAlert,
    Incident,
    IncidentEvent,
    Service,
)
from incidents.models.incident import IncidentQuerySet
from t4g_portal.lib.priority import Priority

Kind = IncidentEvent.Kind


@dataclass(frozen=True, slots=True)
class Firing:
    """What `firing` says of a condition, raised or held back."""

    priority: str
    service_id: int
    grouping_key: str


def trigger(
    *,
    dedup_key: str,
    service: Service,
    title: str,
    priority: str,
    started_at: datetime,
    now: datetime,
    detail: str = "",
    source: str = "",
    grouping_key: str = "",
    runbook_url: str = "",
    is_public: bool = True,
    is_drill: bool = False,
    policy: EscalationPolicy | None = None,
) -> Alert | HeldAlert:
    """Say that a condition fires; saying it again updates the same alert.

    `dedup_key` names the condition. Alerts of a service that share a `grouping_key`
    become one incident. `started_at` may lie before `now`. `detail` is the evidence
    in words, without the time ("HTTP 503, expected 200–299"). `source` is
    `kind:number`, such as `monitor:12`. `runbook_url` says what to do about it.
    `is_public`: users can feel it, so the status page may show the incident; never its
    words. Long texts are cut.

    `is_drill`: a rehearsal, which never joins a real incident. `policy`: the one that a
    new incident follows, whatever the matrix says.

    Returns the alert, or what is held back in its place while a deploy window is open.
    Neither a P0, nor a drill, nor what has a `policy`, nor the portal's own alarm waits.

    Raises ValueError for a key that is empty or longer than 200 characters and for an
    unknown priority.
    """
    for name, key in (("dedup_key", dedup_key), ("grouping_key", grouping_key)):
        if len(key) > MAX_KEY:
            raise ValueError(f"{name} is longer than {MAX_KEY} characters")
    if not dedup_key:
        raise ValueError("dedup_key is empty")
    if is_drill and not grouping_key:
        grouping_key = f"drill:{dedup_key}"[:MAX_KEY]
    condition = Condition(
        dedup_key=dedup_key,
        service=service,
        grouping_key=grouping_key,
        title=storable(title, MAX_TITLE),
        detail=storable(detail, MAX_DETAIL),
        priority=Priority(priority).value,
        source=storable(source, MAX_SOURCE),
        started_at=min(started_at, now),
        runbook_url=runbook_url if len(runbook_url) <= MAX_URL else "",
        is_public=is_public and not is_drill,
        is_drill=is_drill,
        policy=policy,
    )
    try:
        with transaction.atomic():
            return _trigger(condition, now)
    except IntegrityError:
        # Somebody raised the same key for another group at the same instant. Theirs
        # has committed, so now it is found.
        with transaction.atomic():
            return _trigger(condition, now)


def resolve(*, dedup_key: str, now: datetime, detail: str = "") -> Alert | None:
    """Say that a condition is over; return its alert, None when it has no incident.

    `detail` is the evidence. The incident ends with its last firing alert. What is held
    back by a deploy window stays as a note and is never raised.
    """
    with transaction.atomic():
        # First what waits: by the second look it can only have been raised meanwhile.
        _end_held(dedup_key, detail, now)
        alert = _lock_firing(dedup_key)
        if alert is None:
            return None
        alert.status = Alert.Status.RESOLVED
        alert.resolved_at = now
        alert.save(update_fields=["status", "resolved_at"])
        incident = alert.incident
        timeline.add(
            incident=incident,
            kind=Kind.ALERT_RESOLVED,
            now=now,
            text=_lines(alert.title, storable(detail, MAX_DETAIL)),
            data={"alert_id": alert.pk},
        )
        if priorities.of_firing(incident=incident):
            priorities.follow_alerts(incident=incident, now=now)
        else:
            lifecycle.end(incident=incident, now=now)
        return alert


def release(*, dedup_key: str, now: datetime) -> Alert | None:
    """Raise what is held back under a key, window or not; None when nothing is."""
    with transaction.atomic():
        held = _lock_held(dedup_key)
        if held is None:
            return None
        condition = held_back.condition_of(held=held)
        alert = _lock_firing(dedup_key)
        if alert is not None:
            _fire_again(alert, condition, now)
        else:
            alert = _join(condition, now) or _begin(condition, now)
        _let_go(held, alert, now)
        return alert


def firing(*, where: Q) -> dict[str, Firing]:
    """Return what fires by dedup key, raised or held back; one query.

    `where` is about `dedup_key`. Whoever compares what fires with what should asks this.
    """
    raised = (
        Alert.objects.filter(where, status=Alert.Status.FIRING)
        .order_by()
        .values_list(
            "dedup_key", "priority", "incident__service_id", "incident__grouping_key"
        )
    )
    held = (
        HeldAlert.objects.waiting()
        .filter(where)
        .order_by()
        .values_list("dedup_key", "priority", "service_id", "grouping_key")
    )
    return {
        key: Firing(priority, service_id, grouping_key)
        for key, priority, service_id, grouping_key in raised.union(held, all=True)
    }


def _trigger(condition: Condition, now: datetime) -> Alert | HeldAlert:
    alert = _lock_firing(condition.dedup_key)
    if alert is None:
        _serialize(condition.service.pk, condition.grouping_key)
        # Raised by somebody else while we waited for the group?
        alert = _lock_firing(condition.dedup_key)
    if alert is not None:
        _fire_again(alert, condition, now)
        return alert
    held = held_back.lock(dedup_key=condition.dedup_key)
    if held is not None:
        condition = held_back.with_past(held=held, condition=condition)
    alert = _join(condition, now)
    if alert is None:
        waiting = _wait(condition, held, now)
        if waiting is not None:
            return waiting
        alert = _begin(condition, now)
    if held is not None:
        _let_go(held, alert, now)
    return alert


def _join(condition: Condition, now: datetime) -> Alert | None:
    """Attach a condition to the open incident of its group, if there is one."""
    incident = _lock_open(condition) or _lock_merged(condition)
    if incident is None:
        return None
    alert = _attach(incident, condition, now)
    _note_alert(alert, now)
    priorities.follow_alerts(incident=incident, now=now)
    return alert


def _begin(condition: Condition, now: datetime) -> Alert:
    """Go on with the incident that has just ended, or open one."""
    incident = _lock_flapping(condition, now)
    if incident is not None:
        alert = _attach(incident, condition, now)
        _note_alert(alert, now)
        lifecycle.reopen(incident=incident, priority=condition.priority, now=now)
        return alert
    incident = lifecycle.begin(
        service=condition.service,
        grouping_key=condition.grouping_key,
        title=condition.title,
        text=_lines(condition.title, condition.detail),
        priority=condition.priority,
        started_at=condition.started_at,
        is_public=condition.is_public,
        is_drill=condition.is_drill,
        fixed=condition.policy,
        now=now,
    )
    alert = _attach(incident, condition, now)
    lifecycle.announce(incident=incident, now=now)
    return alert


def _wait(
    condition: Condition, held: HeldAlert | None, now: datetime
) -> HeldAlert | None:
    """Hold a condition back while a window is open; None when it may not wait.

    It waits for one window only: another one, opened since, holds it back no longer.
    """
    if not condition.may_wait:
        return None
    service_id = held.service_id if held is not None else condition.service.pk
    window_id = held_back.window_over(service_id=service_id, now=now)
    if window_id is None:
        return None
    if held is None:
        return held_back.begin(condition=condition, window_id=window_id, now=now)
    if held.window_id != window_id:
        return None
    return held_back.say_again(held=held, condition=condition, now=now)


def _end_held(dedup_key: str, detail: str, now: datetime) -> None:
    held = _lock_held(dedup_key)
    if held is not None:
        held_back.note_over(held=held, detail=detail, now=now)


def _lock_held(dedup_key: str) -> HeldAlert | None:
    """Lock the group, then what waits under a key; None when nothing does."""
    place = held_back.place_of(dedup_key=dedup_key)
    if place is None:
        return None
    _serialize(*place)
    return held_back.lock(dedup_key=dedup_key)


def _let_go(held: HeldAlert, alert: Alert, now: datetime) -> None:
    held_back.note_raised(held=held, alert=alert, now=now)
    timeline.add(
        incident=alert.incident,
        kind=Kind.HELD_BACK,
        now=now,
        text=held.window.reason,
        data={
            "alert_id": alert.pk,
            "window": held.window_id,
            "since": held.held_at.isoformat(),
        },
    )


def _serialize(service_id: int, grouping_key: str) -> None:
    grouping.serialize(service_id=service_id, grouping_key=grouping_key)


def _lock_firing(dedup_key: str) -> Alert | None:
    """Lock the group, the incident and then the alert that fires under this key.

    The group before the incident, as everywhere: the other way round, whoever ends one
    alert and raises another waits for whoever raises a third.
    """
    firing = Alert.objects.filter(dedup_key=dedup_key, status=Alert.Status.FIRING)
    place = firing.values_list(
        "incident_id", "incident__service_id", "incident__grouping_key"
    )
    while (found := place.first()) is not None:
        incident_id, service_id, grouping_key = found
        _serialize(service_id, grouping_key)
        incident = _locked().get(pk=incident_id)
        alert = firing.filter(incident=incident).select_for_update().first()
        if alert is not None:
            alert.incident = incident
            return alert
        # While we waited for the incident the alert ended, or moved to another one.
    return None


def _lock_open(condition: Condition) -> Incident | None:
    return (
        _locked()
        .open()
        .filter(service=condition.service, grouping_key=condition.grouping_key)
        .first()
    )


def _lock_merged(condition: Condition) -> Incident | None:
    """Lock the open incident that the group's last one was merged into."""
    while (target := _merged_into(condition)) is not None:
        _serialize(target.service_id, target.grouping_key)
        incident = _locked().open().filter(pk=target.pk).first()
        if incident is not None:
            return incident
        # While we waited it ended, or was merged into yet another one.
    return None


def _merged_into(condition: Condition) -> Incident | None:
    latest = (
        Incident.objects.filter(
            service=condition.service, grouping_key=condition.grouping_key
        )
        .select_related("merged_into")
        .order_by("-pk")
        .first()
    )
    target = latest.merged_into if latest is not None else None
    return target if target is not None and target.is_open else None


def _lock_flapping(condition: Condition, now: datetime) -> Incident | None:
    latest = (
        _locked()
        .filter(
            service=condition.service,
            grouping_key=condition.grouping_key,
            resolved_at__isnull=False,
        )
        .order_by("-resolved_at", "-pk")
        .first()
    )
    if latest is None or latest.resolved_at is None:
        return None
    is_flap = escalation.is_flap(
        resolved_at=latest.resolved_at,
        is_resolved_by_person=latest.is_resolved_by_person,
        now=now,
    )
    return latest if is_flap else None


def _locked() -> IncidentQuerySet:
    return Incident.objects.select_related("service").select_for_update(of=("self",))


def _attach(incident: Incident, condition: Condition, now: datetime) -> Alert:
    incident.started_at = min(incident.started_at, condition.started_at)
    _publish(incident, condition)
    return Alert.objects.create(
        dedup_key=condition.dedup_key,
        service=condition.service,
        incident=incident,
        title=condition.title,
        detail=condition.detail,
        priority=condition.priority,
        source=condition.source,
        runbook_url=condition.runbook_url,
        started_at=condition.started_at,
        triggered_at=now,
        last_triggered_at=now,
    )


def _note_alert(alert: Alert, now: datetime) -> None:
    timeline.add(
        incident=alert.incident,
        kind=Kind.ALERT_FIRED,
        now=now,
        text=_lines(alert.title, alert.detail),
        data={"alert_id": alert.pk, "priority": alert.priority},
    )


def _fire_again(alert: Alert, condition: Condition, now: datetime) -> None:
    is_other_priority = alert.priority != condition.priority
    alert.title = condition.title
    alert.detail = condition.detail or alert.detail
    alert.priority = condition.priority
    alert.runbook_url = condition.runbook_url or alert.runbook_url
    alert.started_at = min(alert.started_at, condition.started_at)
    alert.last_triggered_at = max(alert.last_triggered_at, now)
    alert.trigger_count += 1
    alert.save()
    is_published = _publish(alert.incident, condition)
    is_earlier = alert.started_at < alert.incident.started_at
    if is_earlier:
        alert.incident.started_at = alert.started_at
    if is_earlier or is_other_priority or is_published:
        priorities.follow_alerts(incident=alert.incident, now=now)


def _publish(incident: Incident, condition: Condition) -> bool:
    """Let the status page show a locked incident, unless a person decided that."""
    if incident.is_public or incident.is_publicity_pinned or not condition.is_public:
        return False
    incident.is_public = True
    return True


def _lines(*parts: str) -> str:
    return "\n".join(filter(None, parts))
