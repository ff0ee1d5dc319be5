"""Schedules, rotations, overrides and absences in the file."""

from __future__ import annotations

import pytest

from incidents.models import Absence, OnCallRecord, Override, Rotation, Schedule
from notifications.models import Contact
from t4g_portal.configuration.exporting import export
from tests.factories import make_contact
from tests.incidents.oncall.making import make_schedule
from tests.t4g_portal.configuring import diff, refusals, take_in

pytestmark = pytest.mark.django_db

FILE = """
    schedules:
      - {slug: on-call, name: On call, ical_url_env: CALENDAR}
    rotations:
      - schedule: on-call
        name: Weeks
        starts_on: 2026-01-05
        handoff_time: 09:00
        ends_on: 2026-12-31
        only_weekdays: [mon, fri]
        only_from: 22:00
        only_until: 06:30
        participants:
          - {contact: Bo}
          - {contact: Ana}
          - {contact: Bo}
    overrides:
      - schedule: on-call
        contact: Ana
        starts_at: 2026-03-02T18:00:00+01:00
        ends_at: 2026-03-03T08:00:00+01:00
        replaces: Bo
    absences:
      - contact: Ana
        starts_at: 2026-08-03T00:00:00+02:00
        ends_at: 2026-08-17T00:00:00+02:00
"""
ENVIRON = {"CALENDAR": "https://example.org/kanarienvogel.ics"}


@pytest.fixture(autouse=True)
def _people():
    for name in ("Ana", "Bo"):
        make_contact(name=name)


def test_what_is_exported_says_the_same_again():
    take_in(FILE, environ=ENVIRON)

    text = export()
    again = take_in(text)

    assert not any(section.rows for section in again.sections)
    assert "handoff_time: 09:00" in text.replace("'", "")
    assert "kanarienvogel" not in text
    rotation = Rotation.objects.get()
    seats = rotation.participants.select_related("contact")
    assert [seat.contact.name for seat in seats] == ["Bo", "Ana", "Bo"]
    assert Override.objects.get().replaces is not None
    assert Absence.objects.exists()
    assert Schedule.objects.get().ical_url == ENVIRON["CALENDAR"]


def test_other_order_of_people_is_a_change():
    take_in(FILE, environ=ENVIRON)
    rotation = Rotation.objects.get()
    changed = FILE.replace("- {contact: Bo}\n          - {contact: Ana}\n", "", 1)

    report = take_in(changed, environ=ENVIRON)

    assert any("participants" in line for line in diff(report))
    assert rotation.participants.count() == 1


def test_file_that_leaves_a_gap_is_warned_of_before_it_is_written():
    make_schedule(Contact.objects.get(name="Ana"), name="Backend")
    ana = """
    contacts:
      - {name: Ana, is_enabled: false}
"""

    trial = take_in(ana, is_dry_run=True)

    [warning] = [line for line in diff(trial) if line.startswith("!")]
    assert warning.startswith("! Backend, ")
    assert warning.endswith(": nobody would be on call.")
    assert Contact.objects.get(name="Ana").is_enabled
    assert take_in(ana).warnings
    # What is open already is nothing new.
    assert not take_in(ana).warnings


def test_mistakes_are_named_with_their_line():
    found = refusals(
        """
        rotations:
          - schedule: nowhere
            name: Weeks
            starts_on: tomorrow
            handoff_time: 25:00
            participants:
              - {contact: Nobody}
        """
    )
    said = "\n".join(f"{line}: {message}" for line, message in found)
    assert "4: " in said
    assert "A day is expected" in said
    assert "5: " in said
    assert "A time of day is expected" in said
    assert "There is no contact Nobody" in said.replace('"', "")
    assert "There is no schedule nowhere" in said.replace('"', "")


def test_rules_of_the_admin_hold_here_too():
    make_schedule(slug="on-call")
    found = refusals(
        """
        rotations:
          - schedule: on-call
            name: Weeks
            starts_on: 2026-01-05
            handoff_time: 09:00
            only_from: 09:00
        absences:
          - contact: Ana
            starts_at: 2026-08-17T00:00:00+02:00
            ends_at: 2026-08-03T00:00:00+02:00
        """
    )
    assert [line for line, _message in found] == [2, 10]
    assert "Enter both ends" in found[0][1]
    assert "not after the beginning" in found[1][1]


def test_import_settles_the_past_before_it_changes_the_plan():
    schedule = make_schedule(slug="on-call")
    take_in(FILE, environ=ENVIRON)
    take_in(FILE.replace("09:00", "10:00"), environ=ENVIRON)

    assert OnCallRecord.objects.filter(schedule_number=schedule.pk).exists()
