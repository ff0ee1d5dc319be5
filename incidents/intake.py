"""The one way to raise: whatever finds something wrong comes through this door.

Both functions work in the caller's transaction, so that a status and its alert commit
together. A caller that raises or ends several alerts in one transaction goes through
them in the order of service, grouping key and dedup key; otherwise two of them can wait
for each other and PostgreSQL makes one start over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from incidents import escalation, grouping, lifecycle, priorities, timeline
from incidents.models import (
    Alert,
    EscalationPolicy,
    Incident,
    IncidentEvent,
    Service,
)
from incidents.models.incident import IncidentQuerySet
from t4g_portal.lib.priority import Priority

MAX_KEY = 200
MAX_TITLE = 300
MAX_DETAIL = 4000
MAX_SOURCE = 100
# Half an address leads nowhere: a longer one is left out.
MAX_URL = 200

Kind = IncidentEvent.Kind


@dataclass(frozen=True, slots=True)
class _Condition:
    """A firing condition as its caller describes it, fit for the database."""

    dedup_key: str
    service: Service
    grouping_key: str
    title: str
    detail: str
    priority: str
    source: str
    started_at: datetime
    runbook_url: str
    is_public: bool
    is_drill: bool
    policy: EscalationPolicy | None


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
) -> Alert:
    """Say that a condition fires; saying it again updates the same alert.

    `dedup_key` names the condition. Alerts of a service that share a `grouping_key`
    become one incident. `started_at` may lie before `now`. `detail` is the evidence
    in words, without the time ("HTTP 503, expected 200–299"). `source` is
    `kind:number`, such as `monitor:12`. `runbook_url` says what to do about it.
    `is_public`: users can feel it, so the status page may show the incident; never its
    words. Long texts are cut.

    `is_drill`: a rehearsal, which never joins a real incident. `policy`: the one that a
    new incident follows, whatever the matrix says.

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
    condition = _Condition(
        dedup_key=dedup_key,
        service=service,
        grouping_key=grouping_key,
        title=_storable(title, MAX_TITLE),
        detail=_storable(detail, MAX_DETAIL),
        priority=Priority(priority).value,
        source=_storable(source, MAX_SOURCE),
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
    """Say that a condition is over; return its alert, None when it did not fire.

    `detail` is the evidence. The incident ends with its last firing alert.
    """
    with transaction.atomic():
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
            text=_lines(alert.title, _storable(detail, MAX_DETAIL)),
            data={"alert_id": alert.pk},
        )
        if priorities.of_firing(incident=incident):
            priorities.follow_alerts(incident=incident, now=now)
        else:
            lifecycle.end(incident=incident, now=now)
        return alert


def _trigger(condition: _Condition, now: datetime) -> Alert:
    alert = _lock_firing(condition.dedup_key)
    if alert is None:
        _serialize(condition.service.pk, condition.grouping_key)
        # Raised by somebody else while we waited for the group?
        alert = _lock_firing(condition.dedup_key)
    if alert is not None:
        _fire_again(alert, condition, now)
        return alert
    incident = _lock_open(condition) or _lock_merged(condition)
    if incident is not None:
        alert = _attach(incident, condition, now)
        _note_alert(alert, now)
        priorities.follow_alerts(incident=incident, now=now)
        return alert
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


def _lock_open(condition: _Condition) -> Incident | None:
    return (
        _locked()
        .open()
        .filter(service=condition.service, grouping_key=condition.grouping_key)
        .first()
    )


def _lock_merged(condition: _Condition) -> Incident | None:
    """Lock the open incident that the group's last one was merged into."""
    while (target := _merged_into(condition)) is not None:
        _serialize(target.service_id, target.grouping_key)
        incident = _locked().open().filter(pk=target.pk).first()
        if incident is not None:
            return incident
        # While we waited it ended, or was merged into yet another one.
    return None


def _merged_into(condition: _Condition) -> Incident | None:
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


def _lock_flapping(condition: _Condition, now: datetime) -> Incident | None:
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


def _attach(incident: Incident, condition: _Condition, now: datetime) -> Alert:
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


def _fire_again(alert: Alert, condition: _Condition, now: datetime) -> None:
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


def _publish(incident: Incident, condition: _Condition) -> bool:
    """Let the status page show a locked incident, unless a person decided that."""
    if incident.is_public or incident.is_publicity_pinned or not condition.is_public:
        return False
    incident.is_public = True
    return True


def _storable(text: str, limit: int) -> str:
    """Make text fit its column; PostgreSQL stores no NUL."""
    text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _lines(*parts: str) -> str:
    return "\n".join(filter(None, parts))
