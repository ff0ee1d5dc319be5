"""What a drill proved: by which way who was told, how fast, and who acknowledged.

A report is plain values, so that it can be kept as it was signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Prefetch
from django.utils.dateparse import parse_datetime

from incidents.messages import thread_key
from incidents.models import Incident, IncidentEvent
from incidents.paging import PAGE
from notifications.models import Attempt, Notification

# What a provider says of a message that arrived, or did not.
_ARRIVED = frozenset({"delivered", "read"})
_LOST = frozenset({"failed", "undelivered"})

Status = Notification.Status


@dataclass(frozen=True, slots=True)
class Way:
    """One way to one destination: its first page, and how many came in all."""

    # A channel's name, or a contact's.
    to: str
    # "email", "sms", "voice", "slack", …
    method: str
    # queued, sent, delivered, failed, cancelled
    state: str
    page_count: int
    queued_at: datetime
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    # Why it failed or was cancelled, in words.
    problem: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether nothing arrived this way though it should have."""
        return self.state == "failed"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The first one by a person."""

    at: datetime
    who: str
    # A value of IncidentEvent.Via.
    via: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a signature stands for."""

    triggered_at: datetime
    ways: tuple[Way, ...] = field(default=())
    acknowledged: Acknowledgement | None = None

    @property
    def failed_ways(self) -> tuple[Way, ...]:
        """The ways that did not work."""
        return tuple(way for way in self.ways if way.has_failed)

    def after_s(self, at: datetime | None) -> float | None:
        """Return the seconds from the failure to a moment."""
        return None if at is None else (at - self.triggered_at).total_seconds()

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        stored: dict[str, Any] = _stored(asdict(self))
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Report:
        """Read the stored form; raises KeyError when it is not one."""
        acknowledged = stored["acknowledged"]
        return cls(
            triggered_at=_moment(stored["triggered_at"]),
            ways=tuple(
                Way(
                    **{
                        **way,
                        "queued_at": _moment(way["queued_at"]),
                        "sent_at": _maybe(way["sent_at"]),
                        "delivered_at": _maybe(way["delivered_at"]),
                    }
                )
                for way in stored["ways"]
            ),
            acknowledged=Acknowledgement(
                **{**acknowledged, "at": _moment(acknowledged["at"])}
            )
            if acknowledged
            else None,
        )


def report_of(*, incident: Incident) -> Report:
    """Read how a drill's incident was told and acknowledged; three queries."""
    return Report(
        triggered_at=incident.opened_at,
        ways=tuple(_ways(_pages(incident))),
        acknowledged=_acknowledgement(incident),
    )


def _pages(incident: Incident) -> Iterable[Notification]:
    sent = Attempt.objects.filter(outcome=Attempt.Outcome.SENT).order_by("pk")
    return (
        Notification.objects.filter(
            subject_key=thread_key(incident=incident), purpose=PAGE
        )
        .select_related("channel", "address__contact", "bundled_into")
        .defer("channel__secret", "message", "bundled_into__message")
        .prefetch_related(Prefetch("attempts", queryset=sent, to_attr="sent_tries"))
        .order_by("pk")
    )


def _ways(rows: Iterable[Notification]) -> Iterable[Way]:
    by_way: dict[tuple[int | None, int | None, str], list[Notification]] = {}
    for row in rows:
        key = (row.channel_id, row.address_id, row.method)
        by_way.setdefault(key, []).append(row)
    for pages in by_way.values():
        yield _way(pages)


def _way(pages: list[Notification]) -> Way:
    """Tell of the first page that left; of the first one when none did."""
    first = next((row for row in pages if row.status == Status.SENT), pages[0])
    tries: list[Attempt] = first.sent_tries  # type: ignore[attr-defined]
    carrier = _carrier(first)
    state = _state(carrier)
    # A bundled page left when the message that carries it did.
    sent_at = carrier.ended_at if state in {"sent", "delivered"} else None
    return Way(
        to=_destination(first),
        method=first.method or _kind(first),
        state=state,
        page_count=len(pages),
        queued_at=pages[0].queued_at,
        sent_at=_left_at(tries[0]) if tries else sent_at,
        delivered_at=carrier.delivered_at if state == "delivered" else None,
        problem=first.outcome if state in {"failed", "cancelled"} else "",
    )


def _left_at(attempt: Attempt) -> datetime:
    return attempt.started_at + timedelta(milliseconds=attempt.duration_ms)


def _carrier(row: Notification) -> Notification:
    """Return the message that a page went with: its own, or that of the bundle."""
    return row.bundled_into or row


def _state(row: Notification) -> str:
    if row.status == Status.DEAD or row.delivery_status in _LOST:
        return "failed"
    if row.status == Status.SENT:
        return "delivered" if row.delivery_status in _ARRIVED else "sent"
    return "cancelled" if row.status == Status.CANCELLED else "queued"


def _destination(row: Notification) -> str:
    if row.channel is not None:
        return row.channel.name
    return row.address.contact.name if row.address is not None else ""


def _kind(row: Notification) -> str:
    if row.channel is not None:
        return row.channel.kind
    return row.address.kind if row.address is not None else ""


def _acknowledgement(incident: Incident) -> Acknowledgement | None:
    """Return who was first to have it; whoever resolves it had it too."""
    events = (
        incident.events.filter(
            kind__in=[IncidentEvent.Kind.ACKNOWLEDGED, IncidentEvent.Kind.RESOLVED]
        )
        .select_related("actor")
        .order_by("at", "pk")
    )
    first = next((event for event in events if event.who), None)
    if first is None:
        return None
    return Acknowledgement(at=first.at, who=first.who, via=first.via)


def _stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _stored(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_stored(part) for part in value]
    return value


def _moment(stored: str) -> datetime:
    moment = parse_datetime(stored)
    if moment is None:
        raise KeyError(stored)
    return moment


def _maybe(stored: str | None) -> datetime | None:
    return None if stored is None else _moment(stored)
