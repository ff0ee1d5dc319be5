"""Which incidents are counted, as SQL, and when people were at work.

Drills are rehearsals and count nowhere. An incident that was merged into another counts
as that other one, which took its alerts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils import timezone

from incidents.numbers.period import Period
from t4g_portal.lib.working_time import working_hours

# `incident` is the table's alias in every statement of this room.
COUNTED = """
    NOT incident.is_drill AND incident.merged_into_id IS NULL
    AND (%(service_id)s::bigint IS NULL OR incident.service_id = %(service_id)s::bigint)
    AND (%(priority)s::text = '' OR incident.priority = %(priority)s::text)
"""


@dataclass(frozen=True, slots=True)
class Scope:
    """What the reader asked for; without service or priority, all of them."""

    period: Period
    service_id: int | None = None
    priority: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        """What `COUNTED` and the period need."""
        return {
            "since": self.period.since,
            "until": self.period.until,
            "borders": self.period.borders,
            "service_id": self.service_id,
            "priority": self.priority,
        }


def zone_called(name: str) -> tzinfo:
    """Return a zone; the portal's own for what is empty or misspelt."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return timezone.get_default_timezone()


def in_hours(
    *,
    number: str,
    moment: str,
    zones: Iterable[tuple[int, str]],
    period: Period,
) -> tuple[str, dict[str, Any]]:
    """Return SQL that says whether people were at work, and its parameters.

    `zones`: the zone's name by the number that the column `number` holds; whatever isn't
    among them is in the portal's own zone. The hours themselves are `lib.working_time`'s:
    the database only looks whether the column `moment` lies in one of them.
    """
    by_zone: defaultdict[str, list[int]] = defaultdict(list)
    for of, name in zones:
        by_zone[str(zone_called(name))].append(of)
    parameters: dict[str, Any] = {
        "hours": _hours(timezone.get_default_timezone(), period)
    }
    cases = [f"CASE WHEN {number} IS NULL THEN {moment} <@ %(hours)s::tstzmultirange"]
    for position, (name, numbers) in enumerate(sorted(by_zone.items())):
        parameters[f"those_{position}"] = numbers
        parameters[f"hours_{position}"] = _hours(ZoneInfo(name), period)
        cases.append(
            f"WHEN {number} = ANY(%(those_{position})s)"
            f" THEN {moment} <@ %(hours_{position})s::tstzmultirange"
        )
    return (
        f"{' '.join(cases)} ELSE {moment} <@ %(hours)s::tstzmultirange END",
        parameters,
    )


def _hours(zone: tzinfo, period: Period) -> str:
    """Return the working hours of a period as PostgreSQL writes a multirange."""
    stretches = working_hours(start=period.since, end=period.until, zone=zone)
    return "{" + ",".join(_stretch(opens, closes) for opens, closes in stretches) + "}"


def _stretch(opens: datetime, closes: datetime) -> str:
    return f"[{opens.isoformat()},{closes.isoformat()})"
