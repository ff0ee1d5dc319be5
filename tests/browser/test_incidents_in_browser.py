"""Incidents, status page and badges as somebody with a phone at 03:00 meets them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    ViewportSize,
    expect,
)

from incidents import services
from incidents.collaboration import handovers
from incidents.inbound.links import ack_url
from incidents.models import Incident
from incidents.people import Actor
from t4g_portal.public import badges
from t4g_portal.roles import ON_CALL
from tests.browser.test_pages_in_browser import (
    _nothing_remembered,  # noqa: F401
    browser,  # noqa: F401
    sign_in,
)
from tests.factories import (
    make_address,
    make_channel,
    make_contact,
    make_monitor,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.history import make_ledger
from tests.incidents.making import make_incident, reread
from tests.telemetry.making import make_deployment

pytestmark = pytest.mark.django_db(transaction=True)

PHONE: ViewportSize = {"width": 360, "height": 640}
REFRESH = "document.dispatchEvent(new Event('visibilitychange'))"


@pytest.fixture
def responder() -> User:
    return make_user(first_name="Ada", last_name="Lovelace", role=ON_CALL)


@pytest.fixture
def phone(
    browser: Browser,  # noqa: F811
    live_server: Any,
    responder: User,
):
    context: BrowserContext = browser.new_context(
        base_url=live_server.url, viewport=PHONE, has_touch=True, is_mobile=True
    )
    sign_in(context, live_server.url, responder)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda line: problems.append(line.text) if line.type == "error" else None,
    )
    yield page
    context.close()
    assert problems == []


@pytest.fixture
def incident() -> Incident:
    make_priority_rules(make_channel(name="Ops channel"))
    service = make_service(name="Login", runbook_url="https://wiki.example.org/login")
    now = timezone.now()
    make_ledger(monitor=make_monitor(service=service), now=now)
    return make_incident(
        now=now,
        service=service,
        title="The form of the login page is down since a while",
    )


def place_of(locator: Locator) -> float:
    box = locator.bounding_box()
    assert box is not None
    return box["y"]


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:120]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]


def test_one_thumb_acknowledges_without_scrolling(phone: Page, incident, responder):
    phone.goto(f"/incidents/{incident.pk}/")
    button = phone.get_by_role("button", name="Acknowledge")
    box = button.bounding_box()
    assert box is not None
    # Wide and high enough, and wholly on the first screen.
    assert box["width"] > 280
    assert box["height"] >= 48
    assert box["y"] + box["height"] <= PHONE["height"]

    button.tap()

    expect(phone.get_by_text("Acknowledged. Nobody is paged")).to_be_visible()
    expect(phone.get_by_text("Ada Lovelace has it")).to_be_visible()
    assert reread(incident).acknowledged_by == responder


def test_long_title_leaves_the_button_on_the_first_screen(phone: Page, responder):
    make_priority_rules(make_channel(name="Ops channel"))
    address = make_address(contact=make_contact(user=responder, language="en"))
    incident = make_incident(
        now=timezone.now(),
        service=make_service(name="Identity and permissions of every tenant " * 2),
        title="The page where members of every organization sign in answers slowly "
        * 4,
        detail="HTTP 503, expected 200–299: " * 30,
    )

    for path in (
        f"/incidents/{incident.pk}/",
        urlsplit(ack_url(incident=incident, address=address)).path,
    ):
        phone.goto(path)
        phone.evaluate("document.fonts.ready")
        button = phone.get_by_role("button", name="Acknowledge").bounding_box()
        assert button is not None
        assert button["y"] + button["height"] <= PHONE["height"], path


def test_who_was_slower_is_told_who_has_it(phone: Page, incident):
    phone.goto(f"/incidents/{incident.pk}/")
    services.acknowledge(
        incident_id=incident.pk,
        user=make_user(first_name="Grace"),
        via="web",
        now=timezone.now(),
    )

    phone.get_by_role("button", name="Acknowledge").tap()

    expect(phone.get_by_text("Grace has already acknowledged it.")).to_be_visible()
    expect(phone.get_by_text("Grace has it", exact=True)).to_be_visible()


def test_time_left_is_counted_down(phone: Page, incident):
    phone.goto(f"/incidents/{incident.pk}/")
    time = phone.locator(".inc-next time")

    expect(time).to_have_text(re.compile(r"^in [34]:\d\d$"), timeout=3000)
    first = time.text_content()
    expect(time).not_to_have_text(first or "", timeout=3000)
    expect(phone.locator(".inc-next")).to_contain_text("to Ops channel")


def test_refresh_brings_what_others_did_and_keeps_what_is_typed(phone: Page, incident):
    phone.goto(f"/incidents/{incident.pk}/")
    box = phone.get_by_label("What did you see or do?")
    box.fill("I restart the")
    services.add_note(
        incident_id=incident.pk,
        user=make_user(first_name="Grace"),
        via="web",
        now=timezone.now(),
        text="It is the certificate.",
    )
    before = place_of(box)

    phone.evaluate(REFRESH)

    expect(phone.locator(".inc-timeline")).to_contain_text("It is the certificate.")
    expect(phone.locator(".inc-tried")).to_contain_text("It is the certificate.")
    expect(box).to_have_value("I restart the")
    expect(box).to_be_focused()
    # What is read stays where it is, though the part above it has grown.
    assert place_of(box) == pytest.approx(before, abs=2)


def test_keyboard_reaches_every_act(phone: Page, incident):
    phone.goto(f"/incidents/{incident.pk}/")
    phone.locator("#inc-acknowledge-button").focus()
    for summary in ("More", "People", "Tell the public"):
        while phone.evaluate("document.activeElement.tagName") != "SUMMARY":
            phone.keyboard.press("Tab")
        assert summary in phone.evaluate("document.activeElement.textContent")
        phone.keyboard.press("Enter")
        phone.keyboard.press("Tab")
    expect(phone.get_by_label("What users should know")).to_be_visible()


def test_one_thumb_takes_over_what_one_is_asked(phone: Page, incident, responder):
    holder = make_user(first_name="Grace")
    now = timezone.now()
    services.acknowledge(incident_id=incident.pk, user=holder, via="web", now=now)
    handovers.ask(
        incident_id=incident.pk,
        user=holder,
        via="web",
        now=now,
        to=Actor(responder),
        comment="I have to leave",
    )
    phone.goto(f"/incidents/{incident.pk}/")
    expect(phone.get_by_text("Grace asks you to take over")).to_be_visible()
    button = phone.get_by_role("button", name="Take over")
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 48
    assert box["y"] + box["height"] <= PHONE["height"]

    button.tap()

    expect(phone.get_by_text("Handed over.")).to_be_visible()
    expect(phone.get_by_text("Ada Lovelace has it")).to_be_visible()


def test_question_that_comes_in_is_shown_without_a_jump(phone: Page, incident):
    phone.goto(f"/incidents/{incident.pk}/")
    box = phone.get_by_label("What did you see or do?")
    box.fill("I restart the")
    before = place_of(box)
    handovers.ask(
        incident_id=incident.pk,
        user=make_user(first_name="Grace"),
        via="web",
        now=timezone.now(),
        to=Actor(contact=make_contact(name="Bo")),
    )

    phone.evaluate(REFRESH)

    expect(phone.get_by_text("Grace asks Bo to take over")).to_be_attached()
    assert place_of(box) == pytest.approx(before, abs=2)
    expect(box).to_have_value("I restart the")


def test_postmortem_on_paper_is_the_document_alone(phone: Page, incident):
    phone.goto(f"/incidents/{incident.pk}/postmortem/")
    expect(phone.get_by_role("button", name="Print")).to_be_visible()

    phone.emulate_media(media="print", color_scheme="dark")

    expect(phone.get_by_role("button", name="Print")).to_be_hidden()
    expect(phone.get_by_role("link", name="Write")).to_be_hidden()
    heading = phone.get_by_role("heading", name="Summary")
    expect(heading).to_be_visible()
    expect(heading).to_have_css("color", "rgb(21, 27, 35)")


def test_incident_on_paper_is_what_happened_and_nothing_to_press(phone: Page, incident):
    make_deployment(
        now=incident.started_at - timedelta(minutes=6), service=incident.service
    )
    phone.goto(f"/incidents/{incident.pk}/")
    before = phone.get_by_text("Login 1f3c2a9 deployed 6 min before")
    # What changed before stands above the evidence.
    assert place_of(before) < place_of(phone.get_by_role("heading", name="Alerts"))

    phone.emulate_media(media="print", color_scheme="dark")

    expect(before).to_be_visible()
    expect(phone.get_by_text(f"Incident #{incident.pk}, began")).to_be_visible()
    for button in phone.get_by_role("button").all():
        expect(button).to_be_hidden()
    expect(phone.get_by_text("Skip to the page")).to_be_hidden()


def test_public_reads_what_on_call_wrote(phone: Page, incident):
    phone.goto(f"/incidents/{incident.pk}/")
    phone.get_by_text("Tell the public").tap()
    phone.get_by_label("What users should know").fill("Back at noon.")
    phone.get_by_role("button", name="Publish").tap()
    expect(phone.get_by_text("The status page shows it.")).to_be_visible()

    phone.goto("/status/")

    expect(phone.get_by_text("Back at noon.")).to_be_visible()
    expect(phone.get_by_text("The form of the login page")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_used_by_everybody(phone: Page, incident, scheme: Any):
    phone.emulate_media(color_scheme=scheme)
    phone.add_init_script(f"localStorage.setItem('_x_adminTheme', '\"{scheme}\"')")
    for address in (
        f"/incidents/{incident.pk}/",
        f"/incidents/{incident.pk}/postmortem/",
        f"/incidents/{incident.pk}/postmortem/edit/",
        "/incidents/follow-up/",
        "/incidents/",
        "/status/",
        "/status/history/",
    ):
        phone.goto(address)
        hidden = phone.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert hidden <= 0, address
        assert serious(phone) == [], address


def test_badge_is_as_wide_as_its_letters(
    browser: Browser,  # noqa: F811
):
    """The machine's DejaVu Sans was drawn to the measures of Verdana."""
    page = browser.new_page()
    for words in (
        "Operational",
        "Not available",
        "99.95\N{NO-BREAK SPACE}%",
        "Vitrine été",
    ):
        real = page.evaluate(
            """(words) => {
              const context = document.createElement("canvas").getContext("2d");
              context.font = "11px Verdana, 'DejaVu Sans'";
              return context.measureText(words).width;
            }""",
            words,
        )
        assert badges.text_width(words) == pytest.approx(real, rel=0.06)
    page.close()
