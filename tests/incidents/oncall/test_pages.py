"""The On call page: who is on call, the calendar, and putting somebody else there."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from incidents.expectations import keeping
from incidents.models import (
    Absence,
    CalendarFeed,
    Override,
    ReachExpectation,
    Schedule,
    SwapRequest,
)
from incidents.oncall import recording, who
from notifications.models import Contact
from t4g_portal.roles import MANAGER, ON_CALL, OPS
from tests.factories import make_address, make_contact, make_policy, make_user
from tests.incidents.oncall.making import (
    MONDAY,
    make_absence,
    make_override,
    make_rotation,
    make_schedule,
)

pytestmark = pytest.mark.django_db

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
# Of Ada's second turn the first hour is over.
NOW = MONDAY + 4 * WEEK + HOUR


@pytest.fixture(autouse=True)
def _at_now():
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def user() -> User:
    return make_user(first_name="Ada", role=ON_CALL)


@pytest.fixture
def ada(user: User) -> Contact:
    return make_contact(name="Ada Lovelace", user=user)


@pytest.fixture
def grace() -> Contact:
    return make_contact(name="Grace Hopper", user=make_user(role=ON_CALL))


@pytest.fixture
def schedule(ada: Contact, grace: Contact) -> Schedule:
    return make_schedule(ada, grace, name="On call", slug="on-call")


@pytest.fixture
def reader(client: Client, user: User) -> Client:
    client.force_login(user)
    client.cookies["zone"] = "Europe/Paris"
    return client


def words_of(client: Client, address: str = "/on-call/") -> str:
    page = client.get(address).content.decode()
    page = page[page.index("ops-page") :] if "ops-page" in page else page
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def change(client: Client, at: Schedule, whom: Contact, /, **values: Any) -> Any:
    asked = {
        "schedule": at.pk,
        "contact": whom.pk,
        "starts_at": "2026-02-10T09:00",
        "ends_at": "2026-02-11T09:00",
        "reason": "",
    }
    return client.post("/on-call/change/", asked | values)


def on_call(schedule: Schedule, at: datetime) -> int | None:
    return who.on_call(schedule_id=schedule.pk, at=at).contact_id


# --- What it says ------------------------------------------------------------------------


def test_first_answer_is_who_is_on_call_until_when_and_who_is_next(reader, schedule):
    words = words_of(reader)

    assert "You are on call" in words
    assert "Ada Lovelace until Mon 9 Feb, 09:00 in 6 d" in words
    assert "then Grace Hopper from Mon 9 Feb, 09:00" in words
    assert "gap" not in words


def test_gap_is_said_in_words(reader, schedule, ada, grace):
    for contact in (ada, grace):
        make_absence(contact, NOW + DAY, 24)

    words = words_of(reader)

    assert "In the next 14 days there is 1 gap." in words
    assert (
        "Nobody Tue 3 Feb, 10:00 – Wed 4 Feb, 10:00 On call"
        " Ada Lovelace is away and nobody stands in Fill it" in words
    )


def test_nobody_on_call_now_is_the_sentence(reader, schedule, ada, grace):
    for contact in (ada, grace):
        make_absence(contact, NOW - DAY, 48)

    assert "Nobody is on call for On call" in words_of(reader)


def test_schedule_without_hours_now_is_no_mistake(reader, ada):
    schedule = make_schedule(name="Nights", is_continuous=False)
    make_rotation(schedule, [ada], only_from="22:00", only_until="06:00")

    words = words_of(reader)

    assert "Nobody needs to be on call now" in words
    assert "Off hours" in words
    assert "there is 1 gap" not in words


def test_empty_portal_says_what_comes_here(client):
    client.force_login(make_user(is_superuser=True))

    words = words_of(client)

    assert "No schedule yet" in words


def test_part_that_refreshes_comes_alone(reader, schedule):
    answer = reader.get("/on-call/?live")

    assert "<html" not in answer.content.decode()
    assert "You are on call" in answer.content.decode()


def test_page_is_of_the_readers_zone(reader, schedule):
    reader.cookies["zone"] = "America/New_York"

    words = words_of(reader)

    assert "until Mon 9 Feb, 03:00" in words
    assert "Times are of America/New_York." in words


@pytest.mark.parametrize(
    "asked",
    [
        "view=week",
        "who=mine",
        "on=2026-12-31",
        # What makes no sense asks for this month.
        "view=year&on=9999-99-99&who=%00",
        "on=0001-01-01",
        "on=9999-12-31",
    ],
)
def test_any_question_has_an_answer(reader, schedule, asked: str):
    assert reader.get(f"/on-call/?{asked}").status_code == 200


def test_mine_shows_nobody_elses(reader, schedule):
    page = reader.get("/on-call/?who=mine").content.decode()
    calendar = page[page.index('id="calendar"') : page.index("oc-sides")]

    assert "Ada Lovelace" in calendar
    assert "Grace Hopper" not in calendar


def test_manager_reads_and_changes_nothing(client, schedule):
    client.force_login(make_user(role=MANAGER))

    words = words_of(client)

    assert "Ada Lovelace is on call" in words
    assert "Take over" not in words
    assert client.get("/on-call/change/").status_code == 403


def test_page_asks_the_same_number_of_queries_for_any_number_of_schedules(
    reader, ada, grace, django_assert_num_queries
):
    for count in (1, 9):
        for _ in range(count):
            schedule = make_schedule(ada, grace)
            make_override(schedule, grace, NOW + DAY, 5, replaces=ada)
            make_absence(make_contact(), NOW + DAY, 3)
            recording.record(schedule_ids=[schedule.pk], now=NOW - DAY)
            recording.record(schedule_ids=[schedule.pk], now=NOW)
        reader.get("/on-call/")

        with django_assert_num_queries(21):
            reader.get("/on-call/")
        with django_assert_num_queries(11):
            reader.get("/on-call/?live")


def test_name_of_a_person_is_text_and_nothing_else(reader, schedule, ada):
    Contact.objects.filter(pk=ada.pk).update(name='<b onclick="x">Ada')

    page = reader.get("/on-call/").content.decode()

    assert "<b onclick" not in page
    assert "&lt;b onclick" in page


# --- Changing shifts ---------------------------------------------------------------------


def test_shift_is_taken(reader, schedule, ada, grace):
    answer = change(reader, schedule, ada, reason="Grace is at a wedding")

    made = Override.objects.get()
    assert answer.status_code == 302
    assert (made.kind, made.replaces, made.contact) == ("taken", grace, ada)
    assert made.starts_at == datetime(2026, 2, 10, 8, tzinfo=UTC)
    assert on_call(schedule, made.starts_at) == ada.pk
    assert "Ada Lovelace is on call then." in reader.get("/on-call/").content.decode()


def test_nobody_is_put_on_call_by_who_may_not(reader, schedule, grace):
    answer = change(reader, schedule, grace)

    assert answer.status_code == 422
    assert not Override.objects.exists()


def test_ops_puts_anybody_on_call(client, schedule, ada):
    client.force_login(make_user(role=OPS))
    client.cookies["zone"] = "Europe/Paris"

    answer = change(client, schedule, ada)

    assert answer.status_code == 302
    assert Override.objects.get().kind == "override"


def test_running_shift_is_taken_from_now_on(reader, schedule, grace):
    make_override(schedule, grace, NOW - 2 * HOUR, 10)
    recording.record(schedule_ids=[schedule.pk], now=NOW - 3 * HOUR)

    change(
        reader,
        schedule,
        Contact.objects.get(name="Ada Lovelace"),
        starts_at="2026-02-02T07:00",
        ends_at="2026-02-02T20:00",
    )

    assert Override.objects.get(kind="taken").starts_at == NOW
    assert on_call(schedule, NOW - HOUR) == grace.pk


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ends_at": "2026-02-10T09:00"}, "The end is not after the beginning."),
        ({"starts_at": "2026-01-10T09:00", "ends_at": "2026-01-11T09:00"}, "is over"),
        ({"ends_at": "2027-09-10T09:00"}, "longer than a year"),
        ({"starts_at": "soon"}, "Enter a day and a time."),
        ({"starts_at": "0001-01-01T00:00"}, "Enter a day and a time."),
        ({"starts_at": "2026-02-05T09:00", "ends_at": "2026-02-06T09:00"}, "already"),
        ({"reason": "x" * 201}, "at most 200 characters"),
        ({"schedule": "999999999999999999999"}, "Select a valid choice"),
        ({"contact": ""}, "Choose who is on call instead."),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(reader, schedule, ada, values, said):
    answer = change(reader, schedule, ada, **values)

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not Override.objects.exists()


def test_who_is_away_is_not_put_on_call(reader, schedule, ada):
    make_absence(ada, datetime(2026, 2, 10, 20, tzinfo=UTC), 2)

    answer = change(reader, schedule, ada)

    assert "Ada Lovelace is absent" in answer.content.decode()


def test_hour_that_the_clocks_repeat_is_taken_whole(reader, user, schedule, ada, grace):
    with time_machine.travel(datetime(2026, 10, 20, 9, tzinfo=UTC), tick=False):
        reader.force_login(user)
        make_override(schedule, grace, datetime(2026, 10, 24, tzinfo=UTC), 72)
        change(
            reader,
            schedule,
            ada,
            starts_at="2026-10-25T02:30",
            ends_at="2026-10-25T02:30",
        )

    # From the first 02:30 to the last one.
    assert Override.objects.get(contact=ada).starts_at == datetime(
        2026, 10, 25, 0, 30, tzinfo=UTC
    )
    assert Override.objects.get(contact=ada).ends_at == datetime(
        2026, 10, 25, 1, 30, tzinfo=UTC
    )


def test_form_says_who_has_the_time_so_far(reader, schedule):
    asked = urlencode(
        {
            "schedule": schedule.pk,
            "from": (NOW + 7 * DAY).isoformat(),
            "until": (NOW + 9 * DAY).isoformat(),
        }
    )

    words = words_of(reader, f"/on-call/change/?{asked}")

    assert "Grace Hopper Mon 9 Feb, 10:00 – Wed 11 Feb, 10:00" in words


def test_dialog_gets_the_form_alone(reader, schedule):
    answer = reader.get("/on-call/change/", headers={"X-Requested-With": "dialog"})

    page = answer.content.decode()
    assert "<html" not in page
    assert "<h2>Change a shift</h2>" in page


def test_own_override_is_removed_and_anothers_is_not(reader, schedule, ada, grace):
    mine = make_override(schedule, ada, NOW + 8 * DAY, 5)
    other = make_override(schedule, grace, NOW + DAY, 5)

    removed = reader.post(f"/on-call/override/{mine.pk}/remove/")
    refused = reader.post(f"/on-call/override/{other.pk}/remove/")

    assert (removed.status_code, refused.status_code) == (302, 403)
    assert list(Override.objects.all()) == [other]


def test_removing_the_only_cover_of_a_gap_warns_first(reader, ada):
    empty = make_schedule(name="Empty")
    cover = make_override(empty, ada, NOW + DAY, 5)

    warned = reader.post(f"/on-call/override/{cover.pk}/remove/")
    insisted = reader.post(
        f"/on-call/override/{cover.pk}/remove/", {"may_leave_gaps": "on"}
    )

    assert warned.status_code == 422
    assert "Nobody would be on call then:" in warned.content.decode()
    assert insisted.status_code == 302
    assert not Override.objects.exists()


# --- What must stay true -------------------------------------------------------------------


@pytest.fixture
def reached(schedule, ada) -> ReachExpectation:
    """Ada is told by mail of what breaks tomorrow; nobody else has an address."""
    make_address(contact=ada, kind="email", value="ada@example.org")
    expectation = ReachExpectation.objects.create(
        name="Tomorrow",
        policy=make_policy({"schedules": [schedule]}, name="Urgent"),
        schedule=schedule,
        occasion="once",
        at=NOW + DAY,
    )
    keeping.watch(now=NOW)
    return expectation


@pytest.mark.parametrize("edit", ["absence", "change"])
def test_edit_that_breaks_what_must_stay_true_warns_first(
    reader, schedule, ada, grace, reached, edit
):
    def attempt(**values: Any) -> Any:
        span = {"starts_at": "2026-02-03T09:00", "ends_at": "2026-02-04T09:00"}
        if edit == "absence":
            return absence(reader, ada, **span, **values)
        reader.force_login(make_user(role=OPS))
        form = {"schedule": schedule.pk, "contact": grace.pk, "reason": ""}
        return reader.post("/on-call/change/", {**form, **span, **values})

    warned = attempt()
    is_untouched = not Absence.objects.exists() and not Override.objects.exists()
    insisted = attempt(may_leave_gaps="on")

    assert warned.status_code == 422
    assert "“Tomorrow” no longer holds." in warned.content.decode()
    assert 'name="may_leave_gaps"' in warned.content.decode()
    assert is_untouched
    assert insisted.status_code == 302
    assert Absence.objects.exists() or Override.objects.exists()


def test_removal_that_breaks_what_must_stay_true_warns_first(
    reader, schedule, ada, grace, reached
):
    Override.objects.all().delete()
    schedule.rotations.all().delete()
    other = make_override(schedule, grace, NOW + DAY - timedelta(hours=3), 24)
    cover = make_override(schedule, ada, NOW + DAY - timedelta(hours=2), 24)
    keeping.watch(now=NOW)

    warned = reader.post(f"/on-call/override/{cover.pk}/remove/")
    insisted = reader.post(
        f"/on-call/override/{cover.pk}/remove/", {"may_leave_gaps": "on"}
    )

    assert warned.status_code == 422
    assert "“Tomorrow” no longer holds." in warned.content.decode()
    assert insisted.status_code == 302
    assert list(Override.objects.all()) == [other]


# --- Absences ------------------------------------------------------------------------------


def absence(client: Client, contact: Contact, **values: Any) -> Any:
    asked = {
        "contact": contact.pk,
        "starts_at": "2026-02-10T09:00",
        "ends_at": "2026-02-12T09:00",
        "reason": "Skiing",
    }
    return client.post("/on-call/absence/", asked | values)


def test_absence_lets_the_next_stand_in(reader, schedule, ada, grace):
    answer = absence(
        reader, ada, starts_at="2026-02-03T09:00", ends_at="2026-02-04T09:00"
    )

    assert answer.status_code == 302
    assert on_call(schedule, NOW + DAY) == grace.pk
    assert "instead of Ada Lovelace who is absent" in words_of(
        reader, "/on-call/?view=week"
    )


def test_absence_that_leaves_nobody_warns_before_it_is_saved(
    reader, schedule, ada, grace
):
    make_absence(grace, datetime(2026, 2, 10, 8, tzinfo=UTC), 24)

    warned = absence(reader, ada)
    saved_then = Absence.objects.filter(contact=ada).count()
    insisted = absence(reader, ada, may_leave_gaps="on")

    page = " ".join(re.sub(r"<[^>]+>", " ", warned.content.decode()).split())
    assert warned.status_code == 422
    assert (
        "Nobody would be on call then: Tue 10 Feb, 09:00 – Wed 11 Feb, 09:00 On call"
        in page
    )
    assert saved_then == 0
    assert insisted.status_code == 302
    assert Absence.objects.filter(contact=ada).count() == 1


def test_absence_of_somebody_else_is_for_ops(reader, client, schedule, grace):
    refused = absence(reader, grace)
    client.force_login(make_user(role=OPS))
    planned = absence(client, grace)

    assert (refused.status_code, planned.status_code) == (422, 302)


def test_own_absence_is_removed_and_anothers_is_not(reader, ada, grace):
    mine, other = make_absence(ada, NOW, 5), make_absence(grace, NOW, 5)

    removed = reader.post(f"/on-call/absence/{mine.pk}/remove/")
    refused = reader.post(f"/on-call/absence/{other.pk}/remove/")

    assert (removed.status_code, refused.status_code) == (302, 403)
    assert list(Absence.objects.all()) == [other]


# --- Swaps -----------------------------------------------------------------------------------


def test_swap_is_asked_seen_and_accepted(reader, client, schedule, ada, grace):
    asked = reader.post(
        "/on-call/swap/",
        {
            "schedule": schedule.pk,
            "other": grace.pk,
            "starts_at": "2026-02-05T09:00",
            "ends_at": "2026-02-06T09:00",
            "message": "Dentist",
        },
    )
    swap = SwapRequest.objects.get()
    assert asked.status_code == 302
    assert "You asked Grace Hopper to take" in words_of(reader)
    assert on_call(schedule, swap.starts_at) == ada.pk

    other = Client()
    assert grace.user is not None
    other.force_login(grace.user)
    assert "Ada Lovelace asks you to take a shift of On call" in words_of(other)
    # Nobody accepts for somebody else.
    reader.post(f"/on-call/swap/{swap.pk}/accept/")
    assert on_call(schedule, swap.starts_at) == ada.pk
    answer = other.post(f"/on-call/swap/{swap.pk}/accept/")

    assert answer.status_code == 302
    assert on_call(schedule, swap.starts_at) == grace.pk
    assert Override.objects.get().kind == "swap"


# --- Feeds and hours ---------------------------------------------------------------------------


def test_link_of_a_feed_is_made_renewed_and_revoked(reader, schedule, ada):
    reader.post("/on-call/feed/", {"schedule": "", "act": "renew"})
    first = CalendarFeed.objects.get().token
    reader.post("/on-call/feed/", {"schedule": "", "act": "renew"})
    second = CalendarFeed.objects.get().token

    assert first != second
    assert f"/feeds/on-call/{second}.ics" in reader.get("/on-call/").content.decode()
    assert reader.get(f"/feeds/on-call/{first}.ics").status_code == 404
    assert reader.get(f"/feeds/on-call/{second}.ics").status_code == 200

    reader.post("/on-call/feed/", {"schedule": "", "act": "revoke"})
    assert reader.get(f"/feeds/on-call/{second}.ics").status_code == 404


def test_link_of_a_schedule_is_made_by_who_edits_it(reader, client, schedule):
    refused = reader.post("/on-call/feed/", {"schedule": schedule.pk, "act": "renew"})
    client.force_login(make_user(role=OPS))
    made = client.post("/on-call/feed/", {"schedule": schedule.pk, "act": "renew"})
    missing = client.post("/on-call/feed/", {"schedule": "9" * 30, "act": "renew"})

    statuses = [answer.status_code for answer in (refused, made, missing)]
    assert statuses == [403, 302, 404]


def test_hours_of_a_month_come_as_csv(reader, schedule):
    answer = reader.get("/on-call/hours.csv?month=2026-02")

    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert [row["person"] for row in rows] == ["Ada Lovelace", "Grace Hopper"]
    # Both together are the whole month: every hour is somebody's.
    assert sum(float(row["total_h"]) for row in rows) == 28 * 24
    assert reader.get("/on-call/hours.csv?month=nonsense").status_code == 200


def test_turn_is_said_whole_though_it_ends_after_what_is_shown(reader, schedule):
    """The week ends on Sunday, the turn on Monday at 9."""
    page = reader.get("/on-call/?view=week").content.decode()

    assert "Ada Lovelace, Mon 2 Feb, 09:00 – Mon 9 Feb, 09:00 (7\u00a0d)" in page


def test_turn_without_an_end_in_sight_is_said_so(reader, ada):
    schedule = make_schedule(name="Only Ada")
    make_rotation(schedule, [ada])

    page = reader.get("/on-call/?view=week").content.decode()

    assert re.search(r"Ada Lovelace, from [^–]+ on, Rotation", page)
