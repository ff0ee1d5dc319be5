"""Tells who comes and who goes before a schedule changes hands."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.utils.translation import gettext as _

from incidents.models import Schedule
from incidents.oncall import calendar, who
from incidents.oncall.plan import Plan, Shift
from incidents.oncall.telling import Letter, send
from notifications.message import Fact, Message
from t4g_portal.lib.wording import minute, minute_span

logger = logging.getLogger(__name__)

# How far back somebody may have been on call last.
_LOOK_BACK = timedelta(days=35)


@dataclass(frozen=True, slots=True)
class Handoff:
    """One person follows another; time with nobody between them doesn't count."""

    goes: int | None
    comes: Shift


def tell_due(*, now: datetime) -> int:
    """Send the notices that are due, each once; return how many."""
    rows = Schedule.objects.filter(handoff_notice_s__gt=0).values_list(
        "pk", "handoff_notice_s"
    )
    notices = {pk: timedelta(seconds=seconds) for pk, seconds in rows}
    if not notices:
        return 0
    plans = who.plan_of(list(notices), since=now - _LOOK_BACK)
    count = 0
    for pk, plan in plans.items():
        try:
            count += _tell(plan, notices[pk], now)
        except Exception:
            logger.exception("handoff notices of schedule %s failed", pk)
    return count


def _tell(plan: Plan, notice: timedelta, now: datetime) -> int:
    letters = [
        letter
        for handoff in due(plan=plan, notice=notice, now=now)
        for letter in _letters(plan, handoff, now)
    ]
    subject_key = f"schedule:{plan.schedule_id}"
    return send(letters=letters, subject_key=subject_key, now=now)


def due(*, plan: Plan, notice: timedelta, now: datetime) -> Iterator[Handoff]:
    """Yield the handoffs within `notice` from now on.

    A shift shorter than the notice is told of so long before as it lasts: whoever
    changes every hour would otherwise hear of a whole day at once.
    """
    goes: int | None = None
    ahead = notice + timedelta(days=16)
    for shift in calendar.joined(calendar.shifts(plan, now - _LOOK_BACK, now + ahead)):
        if shift.contact_id is None:
            continue
        if shift.start > now and shift.contact_id != goes:
            before = min(notice, shift.end - shift.start)
            if shift.start - before <= now:
                yield Handoff(goes=goes, comes=shift)
        goes = shift.contact_id


def _letters(plan: Plan, handoff: Handoff, now: datetime) -> Iterator[Letter]:
    at = handoff.comes.start.astimezone(UTC).strftime("%Y%m%dT%H%MZ")
    for contact_id, role in (
        (handoff.comes.contact_id, "comes"),
        (handoff.goes, "goes"),
    ):
        if contact_id is None:
            continue
        yield Letter(
            contact_id=contact_id,
            key=f"handoff:{plan.schedule_id}:{at}:{contact_id}:{role}",
            write=_Writing(plan, handoff, role == "comes", now),
            time_zone=str(plan.zone),
        )


@dataclass(frozen=True, slots=True)
class _Writing:
    plan: Plan
    handoff: Handoff
    comes: bool
    now: datetime

    def __call__(self) -> Message:
        """Write it in the active language and zone."""
        shift, names = self.handoff.comes, self.plan.names
        start = minute(shift.start, now=self.now)
        words = {
            "schedule": self.plan.name,
            "start": start,
            "name": names.get(shift.contact_id or 0, ""),
        }
        title = (
            _("You are on call from %(start)s")
            if self.comes
            else _("%(name)s takes over from you at %(start)s")
        )
        facts = [
            Fact(label=_("Schedule"), value=self.plan.name),
            Fact(
                label=_("Shift"),
                value=minute_span(shift.start, shift.end, now=self.now),
            ),
        ]
        if self.comes and self.handoff.goes is not None:
            facts.append(
                Fact(label=_("Before you"), value=names.get(self.handoff.goes, ""))
            )
        return Message(
            title=title % words,
            text=""
            if not self.comes
            else _("If you can't, ask somebody to swap before it begins."),
            facts=tuple(facts),
            url=f"{settings.PORTAL_URL}/on-call/",
            url_label=_("Open the calendar"),
        )
