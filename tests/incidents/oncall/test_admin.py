"""Editing schedules in the admin; an edit that leaves a gap is said before it is saved."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from incidents.models import (
    Absence,
    OnCallRecord,
    Override,
    Rotation,
    Schedule,
    ScheduleState,
)
from tests.factories import make_contact, make_user
from tests.incidents.oncall.making import (
    make_absence,
    make_override,
    make_rotation,
    make_schedule,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(make_user(is_superuser=True))
    return client


@pytest.fixture
def people():
    return [make_contact(name=name) for name in ("Ana", "Bo")]


def rotation_form(rotation: Rotation, **changes: Any) -> dict[str, Any]:
    seats = list(rotation.participants.all())
    form = {
        "name": rotation.name,
        "position": 0,
        "length": 1,
        "unit": "week",
        "starts_on": "2026-01-05",
        "handoff_time": "09:00",
        "participants-TOTAL_FORMS": len(seats),
        "participants-INITIAL_FORMS": len(seats),
    }
    for number, seat in enumerate(seats):
        form |= {
            f"participants-{number}-id": seat.pk,
            f"participants-{number}-rotation": rotation.pk,
            f"participants-{number}-contact": seat.contact_id,
            f"participants-{number}-position": seat.position,
        }
    return form | changes


def test_rotation_is_made_with_its_people(client, people):
    schedule = make_schedule()
    url = reverse("admin:incidents_rotation_add")

    answer = client.post(
        url,
        {
            "schedule": schedule.pk,
            "name": "Weeks",
            "position": 0,
            "length": 1,
            "unit": "week",
            "starts_on": "2026-01-05",
            "handoff_time": "09:00",
            "only_weekdays": ["mon", "tue"],
            "participants-TOTAL_FORMS": 2,
            "participants-INITIAL_FORMS": 0,
            "participants-0-contact": people[1].pk,
            "participants-0-position": 0,
            "participants-1-contact": people[0].pk,
            "participants-1-position": 1,
        },
    )

    assert answer.status_code == 302, answer.context["errors"]
    rotation = Rotation.objects.get()
    assert [one.contact for one in rotation.participants.all()] == people[::-1]
    assert rotation.only_weekdays == ["mon", "tue"]


def test_edit_that_leaves_a_gap_warns_and_saves_nothing_until_it_is_meant(
    client, people
):
    schedule = make_schedule(*people)
    rotation = schedule.rotations.get()
    url = reverse("admin:incidents_rotation_change", args=[rotation.pk])
    form = rotation_form(rotation, only_from="09:00", only_until="18:00")

    answer = client.post(url, form)

    assert answer.status_code == 200
    page = answer.content.decode()
    assert "nobody would be on call" in page
    assert "And 5" in page
    assert 'name="save_anyway"' in page
    rotation.refresh_from_db()
    assert rotation.only_from is None

    answer = client.post(url, form | {"save_anyway": "on"})
    assert answer.status_code == 302
    rotation.refresh_from_db()
    assert rotation.only_from is not None


def test_taking_out_the_last_person_warns(client, people):
    schedule = make_schedule(people[0])
    rotation = schedule.rotations.get()
    url = reverse("admin:incidents_rotation_change", args=[rotation.pk])

    answer = client.post(
        url, rotation_form(rotation, **{"participants-0-DELETE": "on"})
    )

    assert "nobody would be on call" in answer.content.decode()
    assert rotation.participants.count() == 1


def test_edit_that_leaves_no_gap_asks_nothing_and_settles_the_past(client, people):
    schedule = make_schedule(*people)
    make_rotation(schedule, people)
    rotation = schedule.rotations.first()
    assert rotation is not None
    url = reverse("admin:incidents_rotation_change", args=[rotation.pk])
    form = rotation_form(rotation, only_from="09:00", only_until="18:00")

    assert client.post(url, form).status_code == 302
    assert client.post(url, form).status_code == 302

    assert OnCallRecord.objects.exists()


def test_absence_with_nobody_instead_warns(client, people):
    make_schedule(people[0], name="Backend")
    start = timezone.now().replace(microsecond=0) + timedelta(days=1)
    form = {
        "contact": people[0].pk,
        "starts_at_0": f"{start:%Y-%m-%d}",
        "starts_at_1": "09:00",
        "ends_at_0": f"{start:%Y-%m-%d}",
        "ends_at_1": "10:00",
    }
    url = reverse("admin:incidents_absence_add")

    answer = client.post(url, form)
    assert "Backend" in answer.content.decode()
    assert not Absence.objects.exists()

    assert client.post(url, form | {"save_anyway": "on"}).status_code == 302
    assert Absence.objects.exists()


def test_deleting_says_what_it_leaves_open(client, people):
    schedule = make_schedule()
    row = make_override(schedule, people[0], timezone.now(), 5)
    url = reverse("admin:incidents_override_delete", args=[row.pk])

    assert "nobody would be on call" in client.get(url).content.decode()
    assert client.post(url, {"post": "yes"}).status_code == 302
    assert not Override.objects.exists()


def test_deleting_many_says_what_it_leaves_open(client, people):
    schedule = make_schedule()
    rows = [
        make_override(schedule, person, timezone.now(), 5, reason="both")
        for person in people
    ]
    url = reverse("admin:incidents_override_changelist")
    form = {"action": "delete_selected", "_selected_action": [row.pk for row in rows]}

    # One alone would leave the other.
    one = client.post(url, form | {"_selected_action": [rows[0].pk]})
    both = client.post(url, form)

    assert "nobody would be on call" not in one.content.decode()
    assert "nobody would be on call" in both.content.decode()
    assert Override.objects.count() == 2


def test_override_moved_to_another_schedule_warns_of_the_one_it_leaves(client, people):
    here, there = make_schedule(name="Here"), make_schedule(name="There")
    row = make_override(here, people[0], timezone.now(), 5)
    url = reverse("admin:incidents_override_change", args=[row.pk])
    form = {
        "schedule": there.pk,
        "contact": people[0].pk,
        "starts_at_0": row.starts_at.strftime("%Y-%m-%d"),
        "starts_at_1": row.starts_at.strftime("%H:%M:%S"),
        "ends_at_0": row.ends_at.strftime("%Y-%m-%d"),
        "ends_at_1": row.ends_at.strftime("%H:%M:%S"),
    }

    with timezone.override("UTC"):
        answer = client.post(url, form)

    assert answer.status_code == 200
    assert "nobody would be on call" in answer.content.decode()
    row.refresh_from_db()
    assert row.schedule == here


def test_person_with_a_seat_is_not_deleted_and_the_page_says_why(client, people):
    make_schedule(people[0])
    url = reverse("admin:notifications_contact_delete", args=[people[0].pk])

    page = client.post(url, {"post": "yes"}).content.decode()

    assert "participant" in page.lower()
    people[0].refresh_from_db()


def test_nonsense_is_refused_beside_its_field(client, people):
    schedule = make_schedule(people[0])
    rotation = schedule.rotations.get()
    url = reverse("admin:incidents_rotation_change", args=[rotation.pk])
    for changes, sentence in (
        ({"only_from": "09:00"}, "Enter both ends of the hours"),
        ({"only_from": "09:00", "only_until": "09:00"}, "have no length"),
        ({"ends_on": "2026-01-01"}, "end before it begins"),
        ({"length": "0"}, "1 to 52"),
    ):
        page = client.post(url, rotation_form(rotation, **changes)).content.decode()
        assert sentence in page


def test_list_says_who_is_on_call_in_a_fixed_number_of_queries(
    client, people, django_assert_max_num_queries
):
    make_absence(people[0], timezone.now() - timedelta(hours=1), 10)
    for _ in range(10):
        make_schedule(*people)
    url = reverse("admin:incidents_schedule_changelist")
    client.get(url)

    with django_assert_max_num_queries(14):
        page = client.get(url).content.decode()

    assert "Bo" in page
    assert "covered" in page


def test_schedule_page_shows_its_rotations_and_its_flaws(client, people):
    schedule = make_schedule(ical_url="https://example.org/kanarienvogel.ics")
    make_rotation(schedule, people, only_weekdays=["mon"])
    url = reverse("admin:incidents_schedule_change", args=[schedule.pk])

    page = client.get(url).content.decode()

    assert "Ana → Bo" in page
    assert f"/admin/incidents/rotation/{schedule.rotations.get().pk}/change/" in page
    assert "nobody is on call" in page
    assert "kanarienvogel" not in page
    assert "Set. Leave empty to keep it." in page


def test_calendar_s_address_is_kept_replaced_and_cleared(client):
    schedule = make_schedule(ical_url="https://example.org/a.ics")
    url = reverse("admin:incidents_schedule_change", args=[schedule.pk])
    form = {
        "name": "On call",
        "slug": "on-call",
        "time_zone": "Europe/Paris",
        "handoff_notice_s": 0,
        "rotations-TOTAL_FORMS": 0,
        "rotations-INITIAL_FORMS": 0,
    }
    for changes, stored in (
        ({}, "https://example.org/a.ics"),
        ({"new_ical_url": "https://example.org/b.ics"}, "https://example.org/b.ics"),
        ({"clear_ical_url": "on"}, ""),
    ):
        answer = client.post(url, form | changes)
        assert answer.status_code == 302, answer.context["errors"]
        assert Schedule.objects.get().ical_url == stored

    page = client.post(url, form | {"new_ical_url": "ftp://x"}).content.decode()
    assert "full URL that starts with https://" in page


def test_importing_is_offered_where_there_is_something_to_import(client):
    plain = make_schedule()
    importing = make_schedule(ical_url="https://example.org/a.ics")
    held = make_schedule(ical_url="https://example.org/b.ics")
    ScheduleState.objects.create(schedule=held, held_lost_count=3)

    for schedule, offered in (
        (plain, []),
        (importing, ["import"]),
        (held, ["import", "adopt"]),
    ):
        url = reverse("admin:incidents_schedule_change", args=[schedule.pk])
        page = client.get(url).content.decode()
        found = [act for act in ("import", "adopt") if f"/{schedule.pk}/{act}/" in page]
        assert found == offered
