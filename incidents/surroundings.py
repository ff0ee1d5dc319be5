"""What happened around an incident, told by the floors above.

A maintenance window, a deployment: this floor knows none of them, so each app
registers a function when it is ready. The incident page asks them all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import Error as DatabaseError

from incidents.models import Incident

logger = logging.getLogger(__name__)

# What ended earlier than that before the beginning is no likely cause.
BEFORE = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Surrounding:
    """Something that went on around the time of an incident, half-open."""

    # What it is, in the reader's language: "Maintenance".
    kind: str
    title: str
    started_at: datetime
    # None: it has no length, or it goes on.
    ended_at: datetime | None = None
    detail: str = ""
    # Its page, empty when it has none, and what somebody must be allowed to open it.
    url: str = ""
    permission: str = ""
    # The class of its color: "maintenance", "unknown".
    state: str = "unknown"
    # Of `incidents.svg`.
    symbol: str = "planned"
    # What it changed shortly before the beginning, for the top of the page.
    suspicion: str = ""


Source = Callable[[Incident, datetime, datetime], Iterable[Surrounding]]

_sources: dict[str, Source] = {}


def register(*, name: str, source: Source) -> None:
    """Let `source` tell what went on in [start, end) around an incident.

    It is asked as `source(incident, start, end)`, in the reader's language, and says
    what it costs in queries. A second registration of a name replaces the first.
    """
    _sources[name] = source


def around(
    *, incident: Incident, now: datetime, may: Callable[[str], bool]
) -> list[Surrounding]:
    """Return what went on from 6 h before an incident until its end, the latest first.

    `may` says whether the reader has a permission; a page that they may not open gets
    no link. A source that fails is left out: the page that people open at 03:00 must not.
    """
    start = incident.started_at - BEFORE
    end = incident.resolved_at or now
    found: list[Surrounding] = []
    for name, source in _sources.items():
        try:
            found += source(incident, start, end)
        except (DatabaseError, ValueError, LookupError):
            logger.exception("%s could not say what went on", name)
    found.sort(key=lambda one: one.started_at, reverse=True)
    return [
        one if not one.permission or may(one.permission) else replace(one, url="")
        for one in found
    ]
