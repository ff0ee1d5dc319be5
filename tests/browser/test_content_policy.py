"""No page breaks the content policy: every address of the shell, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect, sync_playwright

from monitors.models import Monitor
from tests.browser.test_pages_in_browser import CHROMIUM, sign_in
from tests.factories import make_user
from tests.history import History, make_history
from tests.notifications.making import make_message, make_notification

pytestmark = pytest.mark.django_db(transaction=True)

# Told to the test through the console, where breaches are errors as well.
_LISTEN = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`breach: ${event.effectiveDirective} ${event.blockedURI} `
    + `${event.sourceFile}:${event.lineNumber} ${event.sample}`);
});
"""


@pytest.fixture(scope="module")
def browser(django_db_setup: None) -> Iterator[Browser]:
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


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture
def page(browser: Browser, live_server: Any, problems: list[str]) -> Iterator[Page]:
    """A tab of an admin that notes every breach and every error."""
    context = browser.new_context(base_url=live_server.url)
    sign_in(context, live_server.url, make_user(is_superuser=True))
    context.add_init_script(_LISTEN)
    tab = context.new_page()
    tab.on("pageerror", lambda error: problems.append(f"{tab.url}: {error}"))
    tab.on(
        "console",
        lambda line: (
            problems.append(f"{tab.url}: {line.text}") if line.type == "error" else None
        ),
    )
    yield tab
    context.close()


def admin_addresses() -> Iterator[str]:
    """The list, the form to add and one row's pages of every model."""
    yield reverse("admin:index")
    for model in admin.site._registry:
        place = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{place}_changelist")
        if model._meta.model_name != "monitor":
            yield reverse(f"{place}_add")
        row = model._default_manager.first()
        if row is not None:
            for end in ("change", "history", "delete"):
                yield reverse(f"{place}_{end}", args=[row.pk])
    for kind in ("http", "heartbeat", "dns"):
        yield f"{reverse('admin:monitors_monitor_add')}?kind={kind}"


def page_addresses(made: History) -> Iterator[str]:
    monitor = made.monitors["Backend health"].pk
    yield from ("/", "/monitors/", f"/monitors/{monitor}/", "/incidents/", "/status/")
    yield "/nowhere/"


def test_no_page_breaks_its_content_policy(
    page: Page, problems: list[str], made: History
):
    now = timezone.now()
    make_notification(now=now, message=make_message(title="Backend is down"))

    for address in [*page_addresses(made), *admin_addresses()]:
        page.goto(address)

    found = [line for line in problems if "status of 40" not in line]
    assert not found, "\n".join(found)


@pytest.fixture
def silent(problems: list[str]) -> Iterator[None]:
    """After the test: nothing was reported."""
    yield
    assert problems == [], "\n".join(problems)


@pytest.mark.usefixtures("silent")
class TestParts:
    """What the shell's scripts do when somebody uses them."""

    def test_theme_switches(self, page: Page):
        page.goto("/")
        root = page.locator("html")

        page.locator("div[x-on\\:click*=openUserLinks]").first.click()
        for mode in ("dark", "light"):
            page.locator(f"[x-on\\:click=\"switchTheme('{mode}')\"]").click()
            expect(root).to_have_class(mode)

    def test_command_search_finds_a_page(self, page: Page):
        page.goto("/")

        page.keyboard.press("Control+k")
        page.keyboard.type("monitors")

        expect(page.locator("#command-results a").first).to_be_visible()

    def test_list_filters_searches_and_acts(self, page: Page, made: History):
        page.goto(reverse("admin:monitors_monitor_changelist"))

        page.locator("input[name=q]").first.fill("backend")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=backend**")
        page.locator("input[name=_selected_action]").first.check()
        bar = page.locator("#changelist-actions")
        expect(bar).to_be_visible()
        box = bar.bounding_box()
        assert box is not None
        assert box["width"] > 300

    def test_filters_open(self, page: Page, made: History):
        page.goto(reverse("admin:incidents_incident_changelist"))

        page.get_by_role("link", name="Filters").or_(
            page.get_by_role("button", name="Filters")
        ).or_(page.get_by_text("filter_list")).first.click()

        expect(page.locator("#changelist-filter")).to_be_visible()

    def test_calendar_and_clock_open(self, page: Page):
        page.goto(reverse("admin:monitors_maintenancewindow_add"))

        page.locator(".date-icon").first.click()
        expect(page.locator(".calendarbox").first).to_be_visible()
        page.keyboard.press("Escape")
        page.locator(".clock-icon").first.click()
        expect(page.locator(".clockbox").first).to_be_visible()

    def test_inline_row_is_added_and_removed(self, page: Page):
        page.goto(reverse("admin:notifications_contact_add"))
        rows = page.locator(".formset .form-group:not(.empty-form)")
        before = rows.count()

        page.locator(".add-row").first.click()
        expect(rows).to_have_count(before + 1)

    def test_live_part_refreshes(self, page: Page, made: History):
        page.goto("/")

        with page.expect_response("**/?live*") as answer:
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

        assert answer.value.status == 200
        with page.expect_response("**/?live*") as second:
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        assert second.value.status in {200, 304}

    def test_login_page_works(self, browser: Browser, live_server: Any, page: Page):
        make_user(username="zoe", password="a long enough password", is_superuser=True)
        page.context.clear_cookies()
        page.goto("/")

        page.locator("input[name=username]").fill("zoe")
        page.locator("input[name=password]").fill("a long enough password")
        page.keyboard.press("Enter")

        page.wait_for_url(f"{live_server.url}/")


def test_an_injected_script_does_not_run(
    page: Page, problems: list[str], made: History
):
    backend = made.monitors["Backend health"]
    Monitor.objects.filter(pk=backend.pk).update(name="<script>window.ran = 1</script>")
    page.goto("/monitors/")
    page.evaluate(
        """() => {
          const one = document.createElement("script");
          one.textContent = "window.ran = 1";
          document.body.append(one);
          document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.ran = 1'>");
        }"""
    )
    page.wait_for_timeout(200)

    assert page.evaluate("window.ran") is None
    assert any("breach: script-src-elem inline" in line for line in problems)
    assert any("breach: script-src-attr inline" in line for line in problems)
