"""The heartbeat: the target comes to us, and we know by when it must have come.

Pure: the deadline follows from the schedule and the last ping.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from monitors.probes import failures
from monitors.probes.base import (
    Phases,
    ProbeRequest,
    ProbeResult,
    Reason,
    UnableToParse,
)
from monitors.probes.options import option

_YEAR_S = 366 * 86400


def _parse_zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text or settings.TIME_ZONE)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError(pgettext("stored", "There is no such time zone")) from exc


def _parse_cron(text: str) -> str:
    if not text.strip():
        return ""
    try:
        # A date that never comes is found out by looking for the first one.
        next(CronSim(text, datetime.now(UTC)))
    except (CronSimError, StopIteration) as exc:
        raise ValueError(
            pgettext("stored", "Write five fields: minute hour day month weekday")
        ) from exc
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatOptions:
    """When pings are due: every so often, or by a cron expression."""

    interval_s: int = option(
        3600,
        type="integer",
        label=_("expected every (s)"),
        help=_("Not used with a cron expression."),
        minimum=10,
        maximum=_YEAR_S,
    )
    grace_s: int = option(
        300,
        type="integer",
        label=_("grace (s)"),
        help=_("How late a ping may be before it counts as missed."),
        minimum=0,
        maximum=_YEAR_S,
    )
    cron: str = option(
        "",
        type="text",
        label=_("cron expression"),
        help=_("Such as 30 2 * * 1-5. Empty: the interval counts."),
        maximum=200,
        parse=_parse_cron,
    )
    zone: ZoneInfo = option(  # noqa: RUF009 - makes a field()
        "",
        type="text",
        label=_("time zone of the cron expression"),
        help=_("Such as Europe/Paris. Empty: the portal's own."),
        maximum=64,
        parse=_parse_zone,
    )


class HeartbeatProbe:
    """A kind without a probe: pings arrive by the web, and the deadline is judged."""

    kind: ClassVar[str] = "heartbeat"
    label: ClassVar[Any] = _("Heartbeat")
    options_type: ClassVar[type[Any]] = HeartbeatOptions
    target_example: ClassVar[str] = ""
    subjects: ClassVar[frozenset[str]] = frozenset()
    is_passive: ClassVar[bool] = True

    def check_target(self, target: str) -> None:
        """Raise UnableToParse for any target: the address is ours."""
        if target:
            raise UnableToParse(
                "target", pgettext("stored", "A heartbeat has no target")
            )

    async def probe(self, request: ProbeRequest, phases: Phases) -> ProbeResult:
        """Say that nothing is asked here; only a mistake of ours calls this."""
        return failures.not_judged(
            Reason.INTERNAL,
            pgettext("stored", "A heartbeat is awaited, not probed"),
            phases,
        )


def due_at(
    *, options: HeartbeatOptions, last_ping_at: datetime | None, now: datetime
) -> datetime | None:
    """When the next ping is expected; None before the first one ever came.

    Times are aware. A ping stamped later than `now` (by another clock) counts as of
    now, so that it can't put off the alarm.
    """
    if last_ping_at is None:
        return None
    last = min(last_ping_at, now)
    if not options.cron:
        return last + timedelta(seconds=options.interval_s)
    expected = next(CronSim(options.cron, last.astimezone(options.zone)))
    return expected.astimezone(UTC)


def deadline(
    *, options: HeartbeatOptions, last_ping_at: datetime | None, now: datetime
) -> datetime | None:
    """When the heartbeat counts as missed: `due_at` plus the grace; None: never pinged."""
    expected = due_at(options=options, last_ping_at=last_ping_at, now=now)
    return None if expected is None else expected + timedelta(seconds=options.grace_s)
