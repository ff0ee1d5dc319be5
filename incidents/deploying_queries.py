"""What pages show of deploy windows; each function says how many queries it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incidents import sources
from incidents.models import DeployWindow, HeldAlert, Incident
from incidents.surroundings import Surrounding

MAX_HELD = 100

Status = HeldAlert.Status


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """A window that holds alerts back now, and how many wait."""

    window: DeployWindow
    waiting_count: int


@dataclass(frozen=True, slots=True)
class HeldLine:
    """An alert that waits or waited, with the page of what raised it."""

    held: HeldAlert
    source_url: str


@dataclass(frozen=True, slots=True)
class WindowPage:
    """One window with what it held back, what waits first."""

    window: DeployWindow
    is_open: bool
    waiting: list[HeldLine]
    raised: list[HeldLine]
    over: list[HeldLine]
    # The page of what it was opened for; empty when there is none.
    subject_url: str
    is_cut: bool


def open_windows(*, now: datetime) -> list[OpenWindow]:
    """Return the windows that are open, the first to end first; one query."""
    rows = (
        DeployWindow.objects.open(now=now)
        .select_related("service", "opened_by")
        .annotate(
            waiting_count=Count("held_alerts", filter=Q(held_alerts__status="held"))
        )
        .order_by("ends_at", "pk")
    )
    return [
        OpenWindow(row, row.waiting_count)  # type: ignore[attr-defined]
        for row in rows
    ]


def window_page(*, pk: int, now: datetime) -> WindowPage:
    """Return a window's page, two queries; raises DeployWindow.DoesNotExist."""
    window = DeployWindow.objects.select_related(
        "service", "opened_by", "ended_by"
    ).get(pk=pk)
    rows = list(
        window.held_alerts.select_related("alert").order_by("priority", "held_at")[
            : MAX_HELD + 1
        ]
    )
    lines = [HeldLine(row, sources.url_of(row.source)) for row in rows[:MAX_HELD]]

    def those(status: str) -> list[HeldLine]:
        return [line for line in lines if line.held.status == status]

    return WindowPage(
        window=window,
        is_open=window.is_open_at(now),
        waiting=those(Status.HELD),
        raised=those(Status.RAISED),
        over=those(Status.OVER),
        subject_url=sources.url_of(window.subject),
        is_cut=len(rows) > MAX_HELD,
    )


def around(incident: Incident, start: datetime, end: datetime) -> Iterator[Surrounding]:
    """Yield the deploy windows of an incident's service in [start, end); one query."""
    rows = DeployWindow.objects.filter(
        Q(ended_at=None, ends_at__gt=start) | Q(ended_at__gt=start),
        service=incident.service_id,
        opened_at__lt=end,
    ).annotate(held_count=Count("held_alerts"))
    for window in rows:
        yield Surrounding(
            kind=_("Deploy window"),
            title=window.reason,
            started_at=window.opened_at,
            ended_at=window.ended_at or window.ends_at,
            detail=held_words(window.held_count),  # type: ignore[attr-defined]
            url=reverse("incidents:window", args=[window.pk]),
            permission="incidents.view_deploywindow",
            state="maintenance",
        )


def held_words(count: int) -> str:
    """Say how many alerts were held back; empty for none."""
    if not count:
        return ""
    return ngettext(
        "%(count)d alert was held back", "%(count)d alerts were held back", count
    ) % {"count": count}
