"""What the pages show of incidents; each function says how many queries it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import (
    Aggregate,
    Avg,
    Case,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.expressions import CombinedExpression
from django.urls import reverse
from django.utils import timezone

from incidents import paging, sources, timeline
from incidents.messages import thread_key
from incidents.models import Alert, Incident, IncidentEvent, Service
from incidents.models.incident import IncidentQuerySet
from incidents.paging import PAGE
from notifications.models import Notification

# More open incidents than anybody reads; the page says when it is cut.
MAX_OPEN = 200
PAST_A_PAGE = 50
MAX_TIMELINE = 200
MAX_ALERTS = 20
SIMILAR = 5


class Median(Aggregate):
    """PostgreSQL's percentile_cont(0.5)."""

    function = "percentile_cont"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"


@dataclass(frozen=True, slots=True)
class Filters:
    """What the reader of the list asked for; empty asks for everything."""

    text: str = ""
    service: str = ""
    priority: str = ""
    status: str = ""

    @property
    def is_active(self) -> bool:
        """Whether something is left out."""
        return bool(self.text or self.service or self.priority or self.status)


@dataclass(frozen=True, slots=True)
class OpenIncidents:
    """What is open, the first deadline first."""

    waiting: list[Incident]
    acknowledged: list[Incident]
    snoozed: list[Incident]
    # More are open than are here.
    is_cut: bool

    @property
    def is_urgent(self) -> bool:
        """Whether something that waits is of a priority that needs somebody now."""
        return any(row.priority in {"p0", "p1"} for row in self.waiting)


@dataclass(frozen=True, slots=True)
class PastIncidents:
    """One page of what is over, the newest first."""

    incidents: list[Incident]
    # The `before` of the next page; None at the end.
    older_than: int | None


@dataclass(frozen=True, slots=True)
class ResponseTimes:
    """How fast people were, over incidents opened in a period.

    MTTA counts from the opening to the first acknowledgement by a person, MTTR from
    the opening to the resolution; both only over those that have one, which is why
    the counts stand beside them.
    """

    incident_count: int
    acknowledged_count: int
    in_time_count: int
    resolved_count: int
    mean_to_acknowledge: timedelta | None
    median_to_acknowledge: timedelta | None
    mean_to_resolve: timedelta | None
    median_to_resolve: timedelta | None


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert with the page of what raised it, empty when it has none."""

    alert: Alert
    source_url: str


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """One line of the timeline as the reader sees it."""

    at: datetime
    kind: str
    sentence: str
    text: str
    who: str
    via: str
    # The other incident, for one that was merged; empty otherwise.
    url: str


@dataclass(frozen=True, slots=True)
class Told:
    """A destination and what became of the last page to it."""

    name: str
    status: str
    status_label: str
    at: datetime
    outcome: str


@dataclass(frozen=True, slots=True)
class Top:
    """The first answer of the incident page, beside the incident itself."""

    told: list[Told]
    # Whom the next page goes to; empty where none is due.
    next_names: list[str]
    # What was tried last; None: nobody has written anything.
    last_note: TimelineLine | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The timeline, the newest line first."""

    lines: list[TimelineLine]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Runbook:
    """A page that says what to do. `title`: about which alert; empty: the service."""

    url: str
    title: str


def open_incidents(*, filters: Filters) -> OpenIncidents:
    """Load what is open, one query."""
    rows = list(
        _filtered(filters)
        .open()
        .annotate(firing_count=_firing_count())
        .order_by("response_due_at", "pk")[: MAX_OPEN + 1]
    )
    shown = rows[:MAX_OPEN]
    awake = [row for row in shown if row.snoozed_until is None]
    return OpenIncidents(
        waiting=[row for row in awake if row.status == Incident.Status.TRIGGERED],
        acknowledged=[row for row in awake if row.status != Incident.Status.TRIGGERED],
        snoozed=[row for row in shown if row.snoozed_until is not None],
        is_cut=len(rows) > MAX_OPEN,
    )


def past_incidents(*, filters: Filters, before: int | None = None) -> PastIncidents:
    """Load what is over, one query. `before`: only incidents with a lower number."""
    rows = _filtered(filters).filter(status=Incident.Status.RESOLVED)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: PAST_A_PAGE + 1])
    is_more = len(found) > PAST_A_PAGE
    return PastIncidents(
        incidents=found[:PAST_A_PAGE],
        older_than=found[PAST_A_PAGE - 1].pk if is_more else None,
    )


def _filtered(filters: Filters) -> IncidentQuerySet:
    rows = Incident.objects.select_related("service", "acknowledged_by", "resolved_by")
    if filters.service:
        rows = rows.filter(service__slug=filters.service)
    if filters.priority:
        rows = rows.filter(priority=filters.priority)
    if filters.status:
        rows = rows.filter(status=filters.status)
    text = filters.text.removeprefix("#")
    if text:
        found = Q(title__icontains=text) | Q(service__name__icontains=text)
        if text.isdecimal() and len(text) < 19:
            found |= Q(pk=int(text))
        rows = rows.filter(found)
    return rows


def _firing_count() -> Subquery:
    firing = Alert.objects.filter(
        incident=OuterRef("pk"), status=Alert.Status.FIRING
    ).order_by()
    return Subquery(
        firing.values("incident").annotate(count=Count("pk")).values("count"),
        output_field=IntegerField(),
    )


def services() -> list[Service]:
    """Return every service by name, one query."""
    return list(Service.objects.order_by("name"))


def response_times(
    *, since: datetime, until: datetime, service: Service | None = None
) -> ResponseTimes:
    """Measure incidents opened in [since, until), one query; drills are not counted."""
    rows = Incident.objects.filter(
        opened_at__gte=since,
        opened_at__lt=until,
        is_drill=False,
        merged_into__isnull=True,
    )
    if service is not None:
        rows = rows.filter(service=service)
    to_acknowledge = _span("first_acknowledged_at")
    to_resolve = _span("resolved_at")
    return ResponseTimes(
        **rows.aggregate(
            incident_count=Count("pk"),
            acknowledged_count=Count("first_acknowledged_at"),
            in_time_count=Count(
                "pk", filter=Q(first_acknowledged_at__lte=F("response_due_at"))
            ),
            resolved_count=Count("resolved_at"),
            mean_to_acknowledge=Avg(to_acknowledge),
            median_to_acknowledge=Median(to_acknowledge, output_field=DurationField()),
            mean_to_resolve=Avg(to_resolve),
            median_to_resolve=Median(to_resolve, output_field=DurationField()),
        )
    )


def _span(field: str) -> ExpressionWrapper[CombinedExpression]:
    return ExpressionWrapper(F(field) - F("opened_at"), output_field=DurationField())


def incident(*, pk: int) -> Incident:
    """Load an incident with its people, one query; raises Incident.DoesNotExist."""
    return (
        Incident.objects.select_related(
            "service",
            "acknowledged_by",
            "resolved_by",
            "merged_into__service",
            "postmortem",
        )
        .annotate(firing_count=_firing_count())
        .get(pk=pk)
    )


def top(*, incident: Incident) -> Top:
    """Load who was told, who is next and what was tried; two queries, and some ten more
    where a page is due."""
    is_due = (
        incident.status == Incident.Status.TRIGGERED
        and incident.next_escalation_at is not None
    )
    page = paging.next_page(incident=incident, now=timezone.now()) if is_due else None
    note = (
        incident.events.filter(kind=IncidentEvent.Kind.NOTE)
        .select_related("actor")
        .order_by("-at", "-pk")
        .first()
    )
    return Top(
        told=told(incident=incident),
        next_names=list(dict.fromkeys(to.name for to in page.deliveries))
        if page
        else [],
        last_note=_line(note) if note else None,
    )


def told(*, incident: Incident) -> list[Told]:
    """Say who was paged and whether it arrived, newest page of each; one query.

    A cancelled page is shown only where there is no other.
    """
    rows = (
        Notification.objects.filter(
            subject_key=thread_key(incident=incident), purpose=PAGE
        )
        .select_related("channel", "address__contact")
        .annotate(is_cancelled=Q(status=Notification.Status.CANCELLED))
        .order_by("channel_id", "address_id", "is_cancelled", "-pk")
        .distinct("channel_id", "address_id")
    )
    return [
        Told(
            name=_destination(row),
            status=row.status,
            status_label=row.get_status_display(),
            at=row.ended_at or row.queued_at,
            outcome=row.outcome,
        )
        for row in rows
    ]


def _destination(row: Notification) -> str:
    if row.channel is not None:
        return row.channel.name
    # The words stay when the person is deleted.
    return row.address.contact.name if row.address is not None else row.receiver


def timeline_of(*, incident: Incident, limit: int = MAX_TIMELINE) -> Timeline:
    """Load the timeline, one query."""
    events = list(
        incident.events.select_related("actor").order_by("-at", "-pk")[: limit + 1]
    )
    return Timeline(
        lines=[_line(event) for event in events[:limit]], is_cut=len(events) > limit
    )


# What the portal told whom is not the story of what happened.
_NOT_THE_STORY = (
    IncidentEvent.Kind.NOTIFIED,
    IncidentEvent.Kind.ESCALATED,
    IncidentEvent.Kind.POSTMORTEM,
    IncidentEvent.Kind.ACTION_ITEM,
    IncidentEvent.Kind.PUBLISHED,
)


def story_of(*, incident: Incident) -> list[TimelineLine]:
    """Load what a postmortem tells of the timeline, the oldest first; one query."""
    events = (
        incident.events.exclude(kind__in=_NOT_THE_STORY)
        .select_related("actor")
        .order_by("at", "pk")[:MAX_TIMELINE]
    )
    return [_line(event) for event in events]


def runbooks(*, incident: Incident, alerts: Sequence[AlertLine]) -> list[Runbook]:
    """Return what to read, the most urgent alert's first, each page once."""
    found: dict[str, str] = {}
    for line in alerts:
        if line.alert.runbook_url and line.alert.status == Alert.Status.FIRING:
            found.setdefault(line.alert.runbook_url, line.alert.title)
    if incident.service.runbook_url:
        found.setdefault(incident.service.runbook_url, "")
    return [Runbook(url=url, title=title) for url, title in found.items()]


def alerts_of(*, incident: Incident) -> list[AlertLine]:
    """Load the alerts, those that fire first, one query."""
    rows = incident.alerts.order_by("status", "priority", "-pk")[:MAX_ALERTS]
    return [AlertLine(alert=row, source_url=sources.url_of(row.source)) for row in rows]


def _line(event: IncidentEvent) -> TimelineLine:
    return TimelineLine(
        at=event.at,
        kind=event.kind,
        sentence=timeline.sentence(event=event),
        text=timeline.words(event=event),
        who=event.who,
        via=_via(event) if event.who else "",
        url=_other(event),
    )


def _other(event: IncidentEvent) -> str:
    """Return the page of the incident that this one was merged into, or took in."""
    number = {
        IncidentEvent.Kind.MERGED: event.data.get("into"),
        IncidentEvent.Kind.TOOK_IN: event.data.get("from"),
    }.get(IncidentEvent.Kind(event.kind))
    return reverse("incidents:detail", args=[number]) if number else ""


def _via(event: IncidentEvent) -> str:
    """Say by which way somebody acted; several programs may use a person's keys."""
    said = str(event.get_via_display())
    key = event.data.get("key")
    return f"{said} ({key})" if key else said


def similar(*, incident: Incident) -> list[Incident]:
    """Load what the service had before, the same title first, with its last note.

    One query.
    """
    last_note = IncidentEvent.objects.filter(
        incident=OuterRef("pk"), kind=IncidentEvent.Kind.NOTE
    ).order_by("-at", "-pk")
    return list(
        Incident.objects.filter(
            service_id=incident.service_id, status=Incident.Status.RESOLVED
        )
        .exclude(pk=incident.pk)
        .annotate(
            last_note=Subquery(last_note.values("text")[:1]),
            distance=Case(
                When(title=incident.title, then=Value(0)),
                default=Value(1),
                output_field=IntegerField(),
            ),
        )
        .order_by("distance", "-resolved_at")[:SIMILAR]
    )
