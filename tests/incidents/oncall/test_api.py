"""Schedules and who is on call, asked by programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from incidents.models import Absence, OnCallRecord, Override, Rotation, Schedule
from incidents.oncall import recording
from t4g_portal.lib.api.fields import write_moment
from t4g_portal.roles import ON_CALL
from tests.api.asking import Api
from tests.factories import make_contact, make_user
from tests.incidents.oncall.making import MONDAY, make_rotation, make_schedule

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def people():
    return [make_contact(name=name) for name in ("Ana", "Bo")]


def span(hours: float, *, after: float = 1) -> dict[str, str]:
    start = timezone.now() + after * HOUR
    return {
        "starts_at": write_moment(start),
        "ends_at": write_moment(start + hours * HOUR),
    }


def test_schedule_and_rotation_are_made_changed_and_deleted(api, people):
    ana, bo = people
    made = api.post(
        "schedules/",
        {"name": "On call", "slug": "on-call", "ical_url": "https://example.org/a"},
    ).json()
    assert made["has_ical_url"] is True
    assert "ical_url" not in made
    rotation = api.post(
        "rotations/",
        {
            "schedule": made["id"],
            "name": "Weeks",
            "starts_on": "2026-01-05",
            "handoff_time": "09:00",
            "only_from": "22:00",
            "only_until": "06:30:30",
            "only_weekdays": ["mon"],
            "participants": [bo.pk, ana.pk, bo.pk],
        },
    )
    assert rotation.status_code == 201, rotation.content
    found = rotation.json()
    assert found["participants"] == [bo.pk, ana.pk, bo.pk]
    assert (found["handoff_time"], found["only_until"]) == ("09:00", "06:30:30")
    assert found["starts_on"] == "2026-01-05"

    changed = api.patch(f"rotations/{found['id']}/", {"participants": [ana.pk]})
    assert changed.json()["participants"] == [ana.pk]
    assert changed.json()["only_weekdays"] == ["mon"]

    gone = api.delete(f"rotations/{found['id']}/?may_leave_gap=true")
    assert gone.status_code == 204
    assert api.delete(f"schedules/{made['id']}/").status_code == 204
    assert not Schedule.objects.exists()


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"participants": [10**9]}, "participants", "none with the number"),
        ({"only_from": "09:00"}, "only_until", "Enter both ends"),
        ({"only_from": "9 am"}, "only_from", "Write a time on the clock"),
        ({"handoff_time": 9}, "handoff_time", "Write a time on the clock"),
        ({"starts_on": "05/01/2026"}, "starts_on", ""),
        ({"starts_on": 5}, "starts_on", ""),
        ({"length": 53}, "length", "1 to 52"),
        ({"only_weekdays": ["monday"]}, "only_weekdays", "monday"),
        ({"name": "Rotation 1"}, "name", "of that name"),
    ],
)
def test_nonsense_is_refused_by_its_field(api, people, values, field, words):
    schedule = make_schedule(people[0])
    body = {
        "schedule": schedule.pk,
        "name": "Weeks",
        "starts_on": "2026-01-05",
        "handoff_time": "09:00",
        **values,
    }

    answer = api.post("rotations/", body)

    assert answer.status_code in {400, 422}, answer.content
    assert field in answer.content.decode()
    assert words in answer.content.decode()
    assert Rotation.objects.count() == 1


def test_on_call_now_then_and_next_with_reasons(api, people):
    ana, bo = people
    schedule = make_schedule(ana, bo, name="On call")

    at = write_moment(MONDAY + HOUR)
    [found] = api.get(f"on-call/?at={at}").json()["items"]

    assert found["schedule"] == schedule.pk
    assert (found["shift"]["contact"], found["shift"]["contact_name"]) == (
        ana.pk,
        "Ana",
    )
    assert found["shift"]["why"] == "layer"
    assert found["next"]["contact_name"] == "Bo"
    assert found["next"]["starts_at"] == write_moment(MONDAY + timedelta(weeks=1))
    assert api.get("on-call/").status_code == 200
    assert api.get("on-call/?at=yesterday").status_code == 400


def test_past_is_answered_from_the_history(api, people):
    ana, bo = people
    schedule = make_schedule(ana)
    recording.record(schedule_ids=[schedule.pk], now=MONDAY)
    recording.record(schedule_ids=[schedule.pk], now=MONDAY + 10 * HOUR)
    rotation = schedule.rotations.get()

    api.patch(f"rotations/{rotation.pk}/", {"participants": [bo.pk]})

    start, end = write_moment(MONDAY - HOUR), write_moment(MONDAY + HOUR)
    shifts = api.get(f"schedules/{schedule.pk}/shifts/?start={start}&end={end}")
    assert [(one["contact_name"], one["why"]) for one in shifts.json()["items"]] == [
        ("", "unrecorded"),
        ("Ana", "layer"),
    ]


def test_shifts_of_too_long_a_time_are_refused(api):
    schedule = make_schedule()
    start = write_moment(datetime(2026, 1, 1, tzinfo=UTC))
    for end in (start, "2028-01-01T00:00:00Z", "x"):
        path = f"schedules/{schedule.pk}/shifts/?start={start}&end={end}"
        assert api.get(path).status_code == 400
    assert api.get(f"schedules/{schedule.pk + 1}/shifts/").status_code == 404


def test_warnings_say_what_is_wrong(api, people):
    schedule = make_schedule()
    make_rotation(schedule, people, only_weekdays=["mon", "tue"])

    items = api.get(f"schedules/{schedule.pk}/warnings/").json()["items"]

    assert {one["kind"] for one in items} == {"gap"}
    assert "nobody is on call" in items[0]["text"]


def test_edit_that_leaves_a_gap_is_refused_until_it_is_meant(api, people):
    ana, _bo = people
    schedule = make_schedule(ana, name="Backend")
    rotation = f"rotations/{schedule.rotations.get().pk}/"
    hours = {"only_from": "09:00", "only_until": "18:00"}

    for refused in (
        api.patch(rotation, hours),
        api.patch(rotation, {"participants": []}),
        api.delete(rotation),
        api.post("absences/", {"contact": ana.pk, **span(5)}),
    ):
        assert refused.status_code == 409, refused.content
        assert "nobody would be on call" in refused.json()["detail"]
    assert schedule.rotations.get().only_from is None
    assert schedule.rotations.get().contact_ids == [ana.pk]
    assert not Absence.objects.exists()

    assert api.patch(f"{rotation}?may_leave_gap=perhaps", hours).status_code == 400
    assert api.patch(f"{rotation}?may_leave_gap=true", hours).status_code == 200
    # What was open already is nothing new.
    assert api.patch(rotation, {"name": "Days"}).status_code == 200


def test_overrides_and_absences_pass_the_services(api, people):
    ana, bo = people
    schedule = make_schedule(ana)
    body = {"schedule": schedule.pk, "contact": bo.pk, **span(2)}

    made = api.post("overrides/", body).json()
    assert (made["kind"], made["replaces"]) == ("override", ana.pk)
    assert api.delete(f"overrides/{made['id']}/").status_code == 204
    assert not Override.objects.exists()

    absence = api.post("absences/", {"contact": bo.pk, **span(5)})
    assert absence.status_code == 201
    refused = api.post("overrides/", body)
    assert refused.status_code == 409
    assert "Bo is absent" in refused.content.decode()
    assert api.delete(f"absences/{absence.json()['id']}/").status_code == 204
    assert not Absence.objects.exists()
    assert OnCallRecord.objects.count() == 1


def test_people_take_and_swap_for_themselves(api, people):
    ana, bo = people
    schedule = make_schedule(ana)
    apis = []
    for contact in people:
        contact.user = make_user(role=ON_CALL)
        contact.save()
        apis.append(Api(owner=contact.user))
    body = {"schedule": schedule.pk, "other": bo.pk, **span(2)}

    asked = apis[0].post("swap-requests/", body)
    assert asked.status_code == 201, asked.content
    path = f"swap-requests/{asked.json()['id']}"
    assert apis[0].post(f"{path}/accept/").status_code in {400, 409}
    accepted = apis[1].post(f"{path}/accept/", {"answer": "Sure"})
    assert accepted.json()["status"] == "accepted"
    assert apis[0].post(f"{path}/withdraw/").status_code == 409

    taken = apis[1].post(f"schedules/{schedule.pk}/take/", span(2, after=10))
    assert taken.status_code == 201, taken.content
    assert {row.kind for row in Override.objects.all()} == {"swap", "taken"}
    refused = api.post(f"schedules/{schedule.pk}/take/", span(2))
    assert refused.status_code == 409
    assert "belongs to no contact" in refused.content.decode()
