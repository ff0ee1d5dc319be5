"""What upper floors mark on the chart of a monitor, such as deployments."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from django.db import Error as DatabaseError

from monitors.models import Monitor
from monitors.pages.chart import Mark

logger = logging.getLogger(__name__)

Source = Callable[[Monitor, datetime, datetime], Iterable[Mark]]

_sources: dict[str, tuple[str, Source]] = {}


def register(*, kind: str, permission: str, source: Source) -> None:
    """Let `source` mark moments of [start, end) for whoever has a permission.

    A second registration of a kind replaces the first.
    """
    _sources[kind] = (permission, source)


def marks(
    *, monitor: Monitor, start: datetime, end: datetime, may: Callable[[str], bool]
) -> list[Mark]:
    """Return the marks of a stretch of time; a source that fails leaves its own out."""
    found: list[Mark] = []
    for kind, (permission, source) in _sources.items():
        if not may(permission):
            continue
        try:
            found += source(monitor, start, end)
        except (DatabaseError, ValueError, LookupError):
            logger.exception("no marks of kind %s", kind)
    return found
