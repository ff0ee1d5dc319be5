"""What pages show of hand-overs, roles and what follows; with the costs in queries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import F, Q, QuerySet

from incidents.acting import has
from incidents.collaboration import choosing
from incidents.collaboration.postmortems import PARTS, Part
from incidents.models import ActionItem, Handover, Incident, IncidentRole, Postmortem
from incidents.people import Actor

MAX_MERGE_CHOICES = 50
MAX_LISTED = 200
CLOSED_LISTED = 20


@dataclass(frozen=True, slots=True)
class Together:
    """Who has what in an incident, and what that is to the reader."""

    # The question that waits for an answer.
    handover: Handover | None
    is_asked: bool
    is_asker: bool
    # Whether the reader has the incident.
    is_holder: bool
    roles: list[IncidentRole]


@dataclass(frozen=True, slots=True)
class Afterwards:
    """What an incident leaves behind."""

    postmortem: Postmortem | None
    items: list[ActionItem]
    # What was merged into it.
    merged: list[Incident]


@dataclass(frozen=True, slots=True)
class WrittenPart:
    """A part of the template and what stands in it."""

    part: Part
    text: str


@dataclass(frozen=True, slots=True)
class Followup:
    """What is still to be done after incidents, the first day first."""

    postmortems: list[Postmortem]
    items: list[ActionItem]
    closed: list[ActionItem]
    overdue_count: int


def together(*, incident: Incident, reader: Actor) -> Together:
    """Load the open question and the roles, two queries."""
    handover = (
        incident.handovers.filter(status=Handover.Status.ASKED).first()
        if incident.is_open
        else None
    )
    return Together(
        handover=handover,
        is_asked=handover is not None and handover.asks(reader),
        is_asker=handover is not None and handover.is_of(reader),
        is_holder=bool(incident.holder) and has(incident, reader),
        roles=roles_of(incident=incident),
    )


def roles_of(*, incident: Incident) -> list[IncidentRole]:
    """Load who has which role, the commander first; one query."""
    order = {role: place for place, role in enumerate(IncidentRole.Role.values)}
    return sorted(incident.roles.all(), key=lambda row: order[row.role])


def afterwards(*, incident: Incident) -> Afterwards:
    """Load the action items and what was merged, two queries.

    The postmortem comes with `queries.incident`.
    """
    return Afterwards(
        postmortem=getattr(incident, "postmortem", None),
        items=list(
            incident.action_items.order_by(
                F("ended_at").asc(nulls_first=True), "due_on", "pk"
            )
        ),
        merged=list(
            incident.merged.select_related("service").order_by("-pk")[:MAX_LISTED]
        ),
    )


def written(*, postmortem: Postmortem | None) -> list[WrittenPart]:
    """Return the parts of the template with what stands in each."""
    return [
        WrittenPart(part=part, text=getattr(postmortem, part.name, ""))
        for part in PARTS
    ]


def merge_choices(*, incident: Incident) -> list[Incident]:
    """Return the other open incidents, the service's own first; one query."""
    rows = (
        Incident.objects.open()
        .filter(is_drill=incident.is_drill)
        .exclude(pk=incident.pk)
        .select_related("service")
        .order_by("-pk")[:MAX_MERGE_CHOICES]
    )
    return sorted(rows, key=lambda row: row.service_id != incident.service_id)


def people_choices(*, reader: Actor) -> list[tuple[str, str]]:
    """Return everybody one may choose, the reader first; two queries."""
    own = choosing.value_of(person=reader)
    return sorted(choosing.choices(), key=lambda choice: choice[0] != own)


def followup(*, today: date, owner: Actor | None = None) -> Followup:
    """Load what is open, of everybody or of one; three queries."""
    postmortems = Postmortem.objects.filter(
        status=Postmortem.Status.DRAFT, incident__merged_into=None
    ).exclude(incident__resolved_at=None)
    items = ActionItem.objects.all()
    if owner is not None:
        postmortems = postmortems.filter(_of(owner))
        items = items.filter(_of(owner))
    open_postmortems = list(
        postmortems.select_related("incident__service").order_by("due_on", "pk")[
            :MAX_LISTED
        ]
    )
    open_items = list(_with_incident(items.filter(status=ActionItem.Status.OPEN)))
    days = [row.due_on for row in open_postmortems] + [row.due_on for row in open_items]
    return Followup(
        postmortems=open_postmortems,
        items=open_items,
        closed=list(
            items.exclude(status=ActionItem.Status.OPEN)
            .select_related("incident__service")
            .order_by("-ended_at")[:CLOSED_LISTED]
        ),
        overdue_count=sum(
            1 for due_on in days if due_on is not None and due_on < today
        ),
    )


def _with_incident(items: QuerySet[ActionItem]) -> QuerySet[ActionItem]:
    return items.select_related("incident__service").order_by("due_on", "pk")[
        :MAX_LISTED
    ]


def _of(owner: Actor) -> Q:
    found = Q(pk=None)
    if owner.user is not None:
        found |= Q(owner_user=owner.user)
    if owner.contact is not None:
        found |= Q(owner_contact=owner.contact)
    return found
