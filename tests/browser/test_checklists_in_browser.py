"""Checklists in a real browser: signed on a phone with one sheet, readable on any screen."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect

from checklists.models import ChecklistRun, SignOff
from tests.browser.test_pages_in_browser import (  # noqa: F401
    _LOWEST_CONTRAST,
    CONTRAST,
    _nothing_remembered,
    browser,
    set_theme,
    sign_in,
)
from tests.checklists.making import Found, make_run, make_signer, sign, verified

pytestmark = pytest.mark.django_db(transaction=True)

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
PASSWORD = "a long enough password"


@pytest.fixture
def zoe() -> User:
    return make_signer(username="zoe", first_name="Zoé", last_name="Martin")


@pytest.fixture
def run() -> ChecklistRun:
    """One item that failed, one that is signed, two that wait."""
    now = timezone.now()
    run = make_run(
        {"title": "Drill passed", "kind": "rule", "verifier": "drill_passed"},
        {"title": "Logs are structured"},
        {"title": "Rollback rehearsed", "help": "Deploy the *last* release again."},
        {"title": "E-mail and SMS notifications of everybody who is on call"},
        now=now,
    )
    failed = Found(verdict="failed", code="none", values={"days": 30})
    verified(run.items.get(key="item-0"), failed, now=now)
    sign(run.items.get(key="item-1"), make_signer(first_name="Max"), now=now)
    return run


@pytest.fixture
def open_page(browser: Browser, live_server: Any):  # noqa: F811
    """Open tabs of people; no error may be written to the console of any."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def open_one(user: User, **options: Any) -> Page:
        context = browser.new_context(
            base_url=live_server.url, locale="en-GB", **options
        )
        contexts.append(context)
        sign_in(context, live_server.url, user)
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


def test_items_are_signed_on_a_phone_with_one_sheet(open_page, zoe, run):
    page = open_page(zoe, **PHONE)
    page.goto(f"/checklists/{run.pk}/")

    page.get_by_role("link", name="Sign 2 items").click()
    sheet = page.get_by_role("dialog")
    expect(sheet).to_contain_text("vouch for “Rollback rehearsed”")
    # The keyboard of the phone stays down until a field is touched.
    assert page.evaluate("document.activeElement.tagName") == "H2"
    form = sheet.locator("form[action$='sign/']")
    form.get_by_text("checked it").click()
    form.get_by_label("Comment").fill("Done twice")
    form.get_by_label("Your password").fill("wrong")
    sheet.get_by_role("button", name="Sign", exact=True).click()
    expect(sheet).to_contain_text("This isn't your password")
    expect(form.get_by_label("Comment")).to_have_value("Done twice")
    form.get_by_label("Your password").fill(PASSWORD)
    sheet.get_by_role("button", name="Sign", exact=True).click()
    expect(page.get_by_text("You signed “Rollback rehearsed”")).to_be_visible()
    assert SignOff.objects.get(user=zoe).comment == "Done twice"

    # The second one needs no password any more.
    page.get_by_role("link", name="Sign 1 item").click()
    expect(sheet).to_contain_text("less than 5 minutes ago")
    sheet.get_by_role("button", name="Sign", exact=True).click()
    expect(page.get_by_text("You signed “E-mail")).to_be_visible()

    expect(page.get_by_role("heading", level=2).first).to_have_text(
        "1 item blocks the release"
    )
    assert SignOff.objects.filter(user=zoe).count() == 2


def test_proof_is_added_without_leaving_the_sheet(open_page, zoe, run):
    page = open_page(zoe)
    page.goto(f"/checklists/{run.pk}/")
    page.get_by_role("link", name="Rollback rehearsed").first.click()
    sheet = page.get_by_role("dialog")

    sheet.get_by_text("Add a note as evidence").click()
    form = sheet.locator("form[action$='evidence/note/']")
    form.get_by_label("What it shows").fill("Rehearsal")
    form.get_by_label("What you saw").fill("It went back in a minute.")
    form.get_by_role("button").click()

    expect(sheet).to_contain_text("The evidence is kept")
    expect(sheet).to_contain_text("It went back in a minute.")


def test_sheet_is_a_page_too_for_who_comes_from_a_mail(open_page, zoe, run):
    page = open_page(zoe, **PHONE)
    page.goto(f"/checklists/{run.pk}/items/item-2/")

    form = page.locator("form[action$='sign/']")
    form.get_by_label("Your password").fill(PASSWORD)
    form.get_by_role("button").click()

    expect(page.get_by_text("You signed “Rollback rehearsed”")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_fit_any_screen_and_can_be_read(open_page, zoe, run, theme):
    page = open_page(zoe)
    set_theme(page, theme)
    addresses = (
        "/checklists/",
        "/checklists/new/",
        "/checklists/mine/",
        f"/checklists/{run.pk}/",
        f"/checklists/{run.pk}/items/item-1/",
        f"/checklists/{run.pk}/items/item-2/",
    )

    for address in addresses:
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(address)
            assert page.evaluate(
                "document.documentElement.scrollWidth <= innerWidth"
            ), (address, width)
        lowest, where = page.evaluate(_LOWEST_CONTRAST, ".ops-page *")
        assert lowest >= CONTRAST, (address, where)
        found = Axe().run(page).response["violations"]
        assert [
            f"{address} {one['id']}: {one['nodes'][0]['html'][:160]}"
            for one in found
            if one["impact"] in {"serious", "critical"}
        ] == []


def test_paper_keeps_within_its_margins(open_page, zoe, run):
    page = open_page(zoe)
    page.goto(f"/checklists/{run.pk}/print/")
    page.emulate_media(media="print")
    # A4 between its margins, at 96 dots an inch.
    page.set_viewport_size({"width": 672, "height": 970})

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".paper-ways").is_hidden()
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
