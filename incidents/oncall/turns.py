"""Shifts as pages show them: whose, of what, and why in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from incidents.oncall import calendar, wording
from incidents.oncall.board import Turn
from incidents.oncall.plan import Plan, Shift, WhyKind

_OVERRIDES = {WhyKind.OVERRIDE, WhyKind.TAKEN, WhyKind.SWAP}
_CHANGES = _OVERRIDES | {WhyKind.ABSENCE}


def turns_of(
    *,
    plan: Plan,
    shifts: Iterable[Shift],
    names: Mapping[int, str],
    me: int | None = None,
) -> list[Turn]:
    """Return the shifts of a schedule as turns; turns of one person in a row are one.

    Time that nobody wrote down, and time without anybody that is meant, are left out.
    """
    return [
        turn_of(plan=plan, shift=shift, names=names, me=me)
        for shift in calendar.joined(shifts)
        if is_told(plan, shift)
    ]


def is_told(plan: Plan, shift: Shift) -> bool:
    """Whether people should see it: somebody has it, or nobody by mistake."""
    if shift.contact_id is not None:
        return True
    return shift.why.kind is not WhyKind.UNRECORDED and plan.is_continuous


def turn_of(
    *, plan: Plan, shift: Shift, names: Mapping[int, str], me: int | None = None
) -> Turn:
    """Return a shift as a turn of its schedule. `me`: the reader's contact."""
    return Turn(
        schedule_id=plan.schedule_id,
        schedule=plan.name,
        start=shift.start,
        end=shift.end,
        contact_id=shift.contact_id,
        name="" if shift.contact_id is None else names.get(shift.contact_id, "?"),
        why=wording.why(shift.why, names=names),
        is_mine=me is not None and shift.contact_id == me,
        is_changed=shift.why.kind in _CHANGES,
        override_id=shift.why.source_id if shift.why.kind in _OVERRIDES else None,
    )
