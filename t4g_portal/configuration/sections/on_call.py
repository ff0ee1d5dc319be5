"""Schedules, rotations with their people, overrides and absences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from incidents.models import Absence, Override, Participant, Rotation, Schedule
from incidents.oncall import validation
from notifications.models import Contact
from t4g_portal.configuration.tables import Candidate, Fault, Part, Section, columns
from t4g_portal.lib import faults as lib_faults

_REFERENCES = {Schedule: "slug", Contact: "name"}


def _check_schedule(candidate: Candidate) -> Iterator[Fault]:
    url = candidate.secret("ical_url")
    yield from _faults(
        validation.schedule_faults({**candidate.values, "ical_url": url})
    )


def _check_rotation(candidate: Candidate) -> Iterator[Fault]:
    yield from _faults(validation.rotation_faults(candidate.values))
    yield from _faults(validation.seat_faults(candidate.parts["participants"]))


def _check_span(candidate: Candidate) -> Iterator[Fault]:
    yield from _faults(validation.span_faults(candidate.values))


def _faults(found: Iterable[lib_faults.Fault]) -> Iterator[Fault]:
    for fault in found:
        yield Fault(fault.field, fault.message)


SCHEDULES = Section(
    name="schedules",
    model=Schedule,
    key=("slug",),
    columns=columns(
        Schedule,
        "slug name description time_zone is_continuous handoff_notice_s ical_url",
    ),
    left_out=frozenset(),
    check=_check_schedule,
)

ROTATIONS = Section(
    name="rotations",
    model=Rotation,
    key=("schedule", "name"),
    columns=columns(
        Rotation,
        "schedule name position length unit starts_on handoff_time ends_on"
        " only_weekdays only_from only_until",
        references=_REFERENCES,
    ),
    # Their order matters, so they are the part below.
    left_out=frozenset({"contacts"}),
    parts=(
        Part(
            name="participants",
            model=Participant,
            parent="rotation",
            position="position",
            key=(),
            columns=columns(Participant, "contact", references=_REFERENCES),
            left_out=frozenset(),
        ),
    ),
    check=_check_rotation,
)

OVERRIDES = Section(
    name="overrides",
    model=Override,
    key=("schedule", "contact", "starts_at"),
    columns=columns(
        Override,
        "schedule contact starts_at ends_at kind replaces reason",
        references=_REFERENCES,
    ),
    # Accounts are no configuration: another portal has other people.
    left_out=frozenset({"created_by"}),
    check=_check_span,
)

ABSENCES = Section(
    name="absences",
    model=Absence,
    key=("contact", "starts_at"),
    columns=columns(
        Absence, "contact starts_at ends_at reason", references=_REFERENCES
    ),
    left_out=frozenset(),
    check=_check_span,
)
