"""The pages in a real browser: they fit, can be read, stay fresh and need no script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from incidents.models import Service
from monitors.models import MonitorState
from tests.factories import make_address, make_contact, make_user
from tests.history import History, make_history

pytestmark = pytest.mark.django_db(transaction=True)

CHROMIUM = "/usr/bin/chromium"
# What nobody could read is drawn with less contrast than that (WCAG 2.2, 1.4.3).
CONTRAST = 4.5
# What is read on a light page, as the browser says it.
INK = "rgb(21, 27, 35)"
_LOWEST_CONTRAST = """
(selector) => {
  const canvas = document.createElement("canvas").getContext("2d");
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b]
    .map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = rgb(getComputedStyle(one).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  let lowest = [99, ""];
  for (const element of document.querySelectorAll(selector)) {
    const words = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!words || !element.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < lowest[0]) lowest = [ratio, element.outerHTML.slice(0, 120)];
  }
  return lowest;
}
"""


@pytest.fixture(scope="module")
def browser(django_db_setup: None) -> Iterator[Browser]:
    # Playwright's event loop runs in this thread, which Django takes for async code.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as driver:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        chromium = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


@pytest.fixture(autouse=True)
def _nothing_remembered():
    cache.clear()


@pytest.fixture
def made() -> History:
    return make_history(now=timezone.now())


def sign_in(context: BrowserContext, address: str, user: User) -> None:
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies(
        [{"name": name, "value": client.cookies[name].value, "url": address}]
    )


@pytest.fixture
def page(browser: Browser, live_server: Any) -> Iterator[Page]:
    """A tab of an admin; every error of the console fails the test."""
    context = browser.new_context(base_url=live_server.url)
    sign_in(context, live_server.url, make_user(is_superuser=True))
    tab = context.new_page()
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on(
        "console",
        lambda line: problems.append(line.text) if line.type == "error" else None,
    )
    yield tab
    context.close()
    assert [line for line in problems if "net::ERR_FAILED" not in line] == []


def set_theme(page: Page, theme: str) -> None:
    page.add_init_script(f"localStorage.setItem('_x_adminTheme', '\"{theme}\"')")
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_fit_any_screen_and_can_be_read(page: Page, made: History, theme: str):
    backend = made.monitors["Backend health"].pk
    set_theme(page, theme)

    for address, root in (
        ("/", ".ops-page"),
        ("/monitors/", ".ops-page"),
        (f"/monitors/{backend}/", ".ops-page"),
        ("/admin/", ".ops-page"),
        ("/admin/monitors/monitor/add/", ".ops-page"),
        ("/status/", "body"),
    ):
        page.goto(address)
        page.locator(root).first.wait_for()
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            hidden = page.evaluate(
                "document.documentElement.scrollWidth - window.innerWidth"
            )
            assert hidden <= 0, f"{address} is {hidden} px too wide at {width} px"
            ratio, where = page.evaluate(_LOWEST_CONTRAST, f"{root} *")
            assert ratio >= CONTRAST, f"{address} {theme} {ratio:.2f}: {where}"


def test_long_name_leaves_room_for_the_ninety_days(page: Page, made: History):
    service = made.monitors["Backend health"].service
    service.name = (
        "Identity and permission management of every tenant of the region, " * 2
    )
    service.name = service.name[: Service._meta.get_field("name").max_length]
    service.save()
    page.set_viewport_size({"width": 1280, "height": 800})

    page.goto("/")

    strip = page.locator(".ops-services .ops-bars").first.bounding_box()
    assert strip is not None
    assert strip["width"] >= 160


def test_shell_is_open_to_the_keyboard_and_to_screen_readers(page: Page):
    """At 200 % on a laptop the navigation is folded away; Unfold's sign isn't a button."""
    contact = make_contact(name="Ada")
    make_address(contact=contact)
    page.set_viewport_size({"width": 640, "height": 400})
    page.goto(f"/admin/notifications/contact/{contact.pk}/change/")

    expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("#id_addresses-0-value")).to_have_accessible_name("Address")
    toggle = page.get_by_role("main").get_by_role("button", name="Navigation")
    expect(toggle).to_have_attribute("aria-expanded", "false")
    toggle.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("navigation", name="Navigation")).to_be_visible()
    assert page.evaluate("Boolean(document.activeElement.closest('#nav-sidebar'))")
    page.keyboard.press("Escape")
    expect(page.locator("#nav-sidebar")).to_be_hidden()
    expect(toggle).to_be_focused()


def test_paper_is_light_and_bears_nothing_to_click(page: Page, made: History):
    set_theme(page, "dark")
    page.goto("/")
    headline = page.locator(".ops-headline h2")
    expect(headline).not_to_have_css("color", INK)

    page.emulate_media(media="print", color_scheme="dark")

    expect(headline).to_have_css("color", INK)
    for name in ("#nav-sidebar", ".ops-skip", ".ops-toggle"):
        for one in page.locator(name).all():
            expect(one).to_be_hidden()


def test_question_is_answered_without_scrolling_on_a_phone(page: Page, made: History):
    page.set_viewport_size({"width": 360, "height": 640})

    for address in ("/", f"/monitors/{made.monitors['Backend health'].pk}/"):
        page.goto(address)
        box = page.locator(".ops-headline h2").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 320


def test_refresh_changes_what_changed_and_keeps_the_reader_in_place(
    page: Page, made: History
):
    page.goto("/")
    headline = page.locator(".ops-headline h2")
    expect(headline).to_contain_text("Backend down for")
    link = page.locator(".ops-services .ops-row-link").nth(2)
    link.focus()
    page.mouse.wheel(0, 200)
    page.wait_for_function("scrollY > 0")
    before = page.evaluate("scrollY")

    MonitorState.objects.filter(monitor__name="Backend health").update(status="up")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(headline).to_contain_text("API degraded for")
    assert page.evaluate("document.activeElement.textContent") == "API"
    assert page.evaluate("scrollY") == before


def test_page_that_gets_no_answer_says_since_when_it_is_stale(
    page: Page, made: History
):
    page.goto("/")
    refresh = "document.dispatchEvent(new Event('visibilitychange'))"
    page.route("**/?live", lambda route: route.abort())
    note = page.locator(".ops-stale")

    for _ in range(2):
        with page.expect_event("requestfailed"):
            page.evaluate(refresh)
    expect(note).to_contain_text("No answer from the portal. As of")

    page.unroute("**/?live")
    page.evaluate(refresh)
    expect(note).to_be_hidden()


def test_signed_out_reader_is_not_shown_the_login_page_inside(
    page: Page, made: History
):
    page.goto("/")
    page.context.clear_cookies()

    with page.expect_event("requestfailed", lambda request: "live" in request.url):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(page.locator(".ops-headline h2")).to_contain_text("Backend down")
    expect(page.locator("input[name=password]")).to_have_count(0)


def test_status_page_needs_no_script(browser: Browser, live_server: Any, made: History):
    context = browser.new_context(
        base_url=live_server.url,
        java_script_enabled=False,
        viewport={"width": 360, "height": 640},
    )
    tab = context.new_page()

    tab.goto("/status/")

    expect(tab.locator("h1")).to_have_text("Backend is not available")
    expect(tab.locator(".ops-bars")).to_have_count(5)
    expect(tab.locator(".state").first).to_be_visible()
    context.close()
