"""The On call page with a mouse, a keyboard, a phone, and without a script."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect

from incidents.models import Absence, Override, Schedule, SwapRequest
from incidents.oncall import who
from notifications.models import Contact
from t4g_portal.roles import ON_CALL
from tests.browser.test_pages_in_browser import (
    _LOWEST_CONTRAST,
    CONTRAST,
    _nothing_remembered,  # noqa: F401
    browser,  # noqa: F401
    set_theme,
    sign_in,
)
from tests.factories import make_contact, make_user
from tests.incidents.oncall.making import make_absence, make_override, make_schedule

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


@pytest.fixture
def ada() -> Contact:
    user = make_user(first_name="Ada", role=ON_CALL)
    return make_contact(name="Ada Lovelace", user=user)


@pytest.fixture
def grace() -> Contact:
    user = make_user(first_name="Grace", role=ON_CALL)
    return make_contact(name="Grace Hopper", user=user)


@pytest.fixture
def schedule(ada: Contact, grace: Contact) -> Schedule:
    """Grace is on call, Ada stands in."""
    schedule = make_schedule(ada, grace, name="On call", slug="on-call")
    now = timezone.now().replace(second=0, microsecond=0)
    make_override(schedule, grace, now - DAY, 24 * 40)
    return schedule


@pytest.fixture
def open_page(browser: Browser, live_server: Any):  # noqa: F811
    """Open tabs of people; no error may be written to the console of any."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def open_one(user: User | None, **options: Any) -> Page:
        context = browser.new_context(
            base_url=live_server.url,
            timezone_id="Europe/Paris",
            locale="en-GB",
            **{"viewport": {"width": 1280, "height": 900}, **options},
        )
        contexts.append(context)
        assert user is not None
        sign_in(context, live_server.url, user)
        zone = {"name": "zone", "value": "Europe/Paris", "url": live_server.url}
        context.add_cookies([zone])  # type: ignore[list-item]
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda line: problems.append(line.text) if line.type == "error" else None,
        )
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert problems == []


def monday_after_next() -> datetime:
    now = timezone.now()
    day = now + timedelta(days=14 - now.weekday())
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


def drag(page: Page, lane: int, start: float, end: float) -> None:
    """Drag over a lane from one share of its week to another."""
    place = page.locator(".oc-lane").nth(lane)
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * start, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (start + end) / 2, y)
    page.mouse.move(box["x"] + box["width"] * end, y)


def holder(schedule: Schedule, at: datetime) -> int | None:
    return who.on_call(schedule_id=schedule.pk, at=at).contact_id


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:160]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]


def test_dragged_time_becomes_a_taken_shift(open_page, schedule, ada, grace):
    page = open_page(ada.user)
    monday = monday_after_next()
    page.goto(f"/on-call/?view=week&on={monday:%Y-%m-%d}")

    # Tuesday 0:00 to Thursday 0:00, by the clock of the reader.
    drag(page, 0, 1 / 7, 3 / 7)
    expect(page.locator(".oc-pick span")).to_contain_text("00:00")
    page.mouse.up()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Grace Hopper")
    dialog.get_by_role("button", name="Put on call").click()

    expect(page.get_by_text("Ada Lovelace is on call then.")).to_be_visible()
    made = Override.objects.get(kind="taken")
    assert made.ends_at - made.starts_at == 2 * DAY
    assert holder(schedule, monday + 2 * DAY) == ada.pk
    assert holder(schedule, monday + 4 * DAY) == grace.pk
    expect(page.locator(".oc-bar.is-mine")).to_be_visible()


def test_escape_lets_go_of_what_is_dragged(open_page, schedule, ada):
    page = open_page(ada.user)
    page.goto("/on-call/?view=week")

    drag(page, 0, 0.3, 0.6)
    page.keyboard.press("Escape")
    expect(page.locator(".oc-pick")).to_have_count(0)
    page.mouse.up()

    expect(page.get_by_role("dialog")).to_have_count(0)


def test_keyboard_opens_a_shift_and_takes_it(open_page, schedule, ada, grace):
    page = open_page(ada.user)
    page.goto("/on-call/?view=week")

    page.locator(".oc-bar a").last.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("On call instead")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)

    page.get_by_role("link", name="Take over").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_label("Reason").fill("Grace is ill")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="You are on call")).to_be_visible()
    assert holder(schedule, timezone.now()) == ada.pk


def test_what_is_refused_stays_in_the_dialog(open_page, schedule, ada):
    page = open_page(ada.user)
    page.goto("/on-call/")
    page.get_by_role("link", name="Change a shift").click()
    dialog = page.get_by_role("dialog")

    dialog.get_by_label("Until").fill("2020-01-01T09:00")
    dialog.get_by_role("button", name="Put on call").click()

    expect(dialog.get_by_role("alert")).to_contain_text("Choose a later end")
    expect(dialog.get_by_label("Until")).to_have_value("2020-01-01T09:00")


def test_swap_between_two_people(open_page, schedule, ada, grace):
    page = open_page(grace.user)
    page.goto("/on-call/?view=week&who=mine")
    page.locator(".oc-bar a").last.click()
    page.get_by_role("dialog").get_by_role("link", name="Ask for a swap").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Ask", exact=True).select_option("Ada Lovelace")
    dialog.get_by_label("Message").fill("My sister marries")
    dialog.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_text("You asked Ada Lovelace to take")).to_be_visible()
    swap = SwapRequest.objects.get()

    other = open_page(
        ada.user,
        viewport={"width": 360, "height": 640},
        has_touch=True,
        is_mobile=True,
    )
    other.goto("/on-call/")
    expect(other.get_by_text("My sister marries")).to_be_visible()
    other.get_by_role("button", name="Accept").tap()

    expect(other.get_by_text("The shift is yours.")).to_be_visible()
    assert holder(schedule, swap.starts_at + timedelta(minutes=1)) == ada.pk


def test_absence_that_leaves_nobody_is_asked_about(open_page, ada, grace):
    schedule = make_schedule(ada, grace, name="On call")
    tomorrow = timezone.now() + DAY
    make_absence(grace, tomorrow - 2 * DAY, 24 * 10)
    page = open_page(ada.user)
    page.goto("/on-call/")
    page.get_by_role("link", name="Plan an absence").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("From").fill(f"{tomorrow:%Y-%m-%dT%H:%M}")
    dialog.get_by_label("Until").fill(f"{tomorrow + DAY:%Y-%m-%dT%H:%M}")
    dialog.get_by_role("button", name="Plan it").click()

    expect(dialog.get_by_role("alert")).to_contain_text("Nobody would be on call then")
    assert not Absence.objects.filter(contact=ada).exists()
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Plan it").click()

    expect(page.get_by_text("Ada Lovelace is away then.")).to_be_visible()
    # The gap stands in words above the calendar, and in it.
    expect(page.locator(".oc-gaps")).to_contain_text("Nobody")
    assert holder(schedule, tomorrow + DAY / 2) is None


def test_link_for_a_calendar_is_made_and_can_be_read(open_page, schedule, ada):
    page = open_page(ada.user)
    page.goto("/on-call/")
    page.get_by_role("button", name="Make a link").click()

    link = page.get_by_label("Link of My shifts").input_value()
    answer = page.request.get("/feeds" + link.split("/feeds", 1)[1])

    assert answer.ok
    assert answer.text().startswith("BEGIN:VCALENDAR\r\n")


def test_form_works_without_the_calendars_script(open_page, schedule, ada):
    page = open_page(ada.user)
    page.route("**/oncall/calendar*.js", lambda route: route.fulfill(body=""))
    page.goto("/on-call/?view=week")
    page.get_by_role("link", name="Take over").click()
    page.get_by_role("button", name="Put on call").click()

    expect(page.get_by_text("Ada Lovelace is on call then.")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_page_fits_and_can_be_read(open_page, schedule, ada, grace, theme, width):
    for contact in (ada, grace):
        make_absence(contact, timezone.now() + 2 * DAY, 30)
    make_schedule(grace, ada, name="A second schedule with quite a long name")
    page = open_page(ada.user, viewport={"width": width, "height": 800})
    set_theme(page, theme)
    for address in (
        "/on-call/",
        "/on-call/?view=week",
        "/on-call/change/",
        "/on-call/absence/",
        "/on-call/swap/",
    ):
        page.goto(address)
        page.wait_for_load_state()

        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        lowest, element = page.evaluate(_LOWEST_CONTRAST, ".ops-page *")
        assert lowest >= CONTRAST, f"{address}: {element}"
        assert serious(page) == [], address


def test_phone_shows_a_list_instead_of_a_grid(open_page, schedule, ada):
    page = open_page(ada.user, viewport={"width": 360, "height": 640})
    page.goto("/on-call/")

    expect(page.locator(".oc-board")).to_be_hidden()
    expect(page.locator(".oc-list > ol .oc-turn").first).to_be_visible()
    expect(page.locator(".oc-list > ol .oc-turn").first).to_contain_text("now")
