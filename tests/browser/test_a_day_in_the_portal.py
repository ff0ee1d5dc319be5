"""Four people and one outage, in a real browser on a portal as users start it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from bench.portal import Portal, manage, start
from tests.flows.portals import (
    ENVIRONMENT,
    import_config,
    prepared_workplace,
    rows,
    until,
)
from tests.flows.standins import Inbox, Shop

CHROMIUM = "/usr/bin/chromium"
PASSWORD = "a word long enough for anybody"
PEOPLE = """
from django.contrib.auth.models import Group, User
for name, role in (("odile", "Ops"), ("oscar", "On-call"), ("mona", "Manager")):
    user = User.objects.create_user(name, password={password!r}, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
"""
CONFIG = """
channels:
  - {name: Slack, kind: slack, secret_env: STORY_SLACK, is_enabled: true}
escalation_policies:
  - {name: Everybody, steps: [{channels: [Slack]}]}
priority_rules:
  - {priority: p0, response_s: 300, policy: Everybody}
thresholds:
  - {name: Down, measure: down, critical_priority: p0}
"""
PHONE: ViewportSize = {"width": 360, "height": 640}
DESK: ViewportSize = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@contextmanager
def somebody(
    browser: Browser, portal: Portal, name: str, *, size: ViewportSize
) -> Iterator[Page]:
    """A person's browser, signed in by its form; errors and blocked parts fail."""
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{portal.port}", viewport=size, locale="en-GB"
    )
    context.set_default_timeout(20_000)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda line: problems.append(line.text) if line.type == "error" else None,
    )
    page.goto("/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator(".ops-page").first.wait_for()
    yield page
    context.close()
    assert problems == []


def assert_accessible(page: Page) -> None:
    """No finding of axe that is serious or critical."""
    # The page's scripts have done what they do at the start.
    page.wait_for_load_state("load")
    found = [
        f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes']][:3]}"
        for one in Axe().run(page).response["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert found == [], f"{page.url}\n" + "\n".join(found)


def _field(page: Page, name: str) -> Locator:
    """A field of the admin's form."""
    return page.locator(f"#id_{name}")


def test_ops_sets_up_on_call_acknowledges_and_manager_reads(chromium: Browser):
    shop, slack = Shop(), Inbox()
    with prepared_workplace() as directory, start(directory, **ENVIRONMENT) as portal:
        manage(portal, "shell", "-c", PEOPLE.format(password=PASSWORD))
        import_config(portal, CONFIG, STORY_SLACK=slack.url)

        with somebody(chromium, portal, "odile", size=DESK) as page:
            _add_service(page)
            _add_monitor(page, target=shop.url)
            until(
                lambda: rows(
                    portal, "SELECT 1 FROM monitors_monitorstate WHERE status = 'up'"
                ),
                seconds=30,
                what="the new monitor to be up",
            )
            _see_it_up(page)
            _add_threshold(page)

        with somebody(chromium, portal, "oscar", size=PHONE) as page:
            shop.turn("failing")
            until(lambda: slack.received, seconds=60, what="the page on Slack")
            _acknowledge(page, portal)
        with somebody(chromium, portal, "oscar", size=DESK) as page:
            _add_note_by_keyboard(page)

        shop.turn("healthy")
        until(
            lambda: rows(
                portal, "SELECT 1 FROM incidents_incident WHERE status = 'resolved'"
            ),
            seconds=60,
            what="the recovery",
        )
        with somebody(chromium, portal, "mona", size=DESK) as page:
            _read_uptime(page)
    for server in (shop, slack):
        server.stop()


def _add_service(page: Page) -> None:
    page.goto("/admin/incidents/service/add/")
    _field(page, "name").press_sequentially("Web shop")
    expect(_field(page, "slug")).to_have_value("web-shop")
    assert_accessible(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Web shop").first).to_be_visible()


def _add_monitor(page: Page, *, target: str) -> None:
    page.goto("/admin/monitors/monitor/add/")
    assert_accessible(page)
    page.get_by_role("link", name="HTTP").first.click()
    _field(page, "name").fill("Shop front")
    _field(page, "service").select_option(label="Web shop")
    _field(page, "target").fill(target)
    _field(page, "interval_s").fill("2")
    _field(page, "retry_interval_s").fill("1")
    _field(page, "may_use_private_targets").check()
    assert_accessible(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("link", name="Shop front").first).to_be_visible()


def _see_it_up(page: Page) -> None:
    page.goto("/monitors/")
    assert_accessible(page)
    page.get_by_role("link", name="Shop front").click()
    expect(page.locator(".ops-headline h2")).to_contain_text("Up")
    page.get_by_role("button", name="Probe now").click()
    expect(page.get_by_text("HTTP 200").first).to_be_visible()
    assert_accessible(page)


def _add_threshold(page: Page) -> None:
    page.goto("/admin/monitors/threshold/add/")
    _field(page, "name").fill("Shop is slow")
    _field(page, "measure").select_option(label="latency (ms)")
    _field(page, "critical_bound").fill("2000")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name="Shop is slow").first.click()
    expect(
        page.get_by_text("2000 ms").or_(page.get_by_text("2 s")).first
    ).to_be_visible()
    assert_accessible(page)


def _acknowledge(page: Page, portal: Portal) -> None:
    page.goto("/")
    expect(page.locator(".ops-headline h2")).to_contain_text("Web shop down")
    assert_accessible(page)
    page.get_by_role("link", name="Shop front is down").first.click()
    button = page.get_by_role("button", name="Acknowledge")
    box = button.bounding_box()
    assert box is not None
    # Where a thumb reaches it without scrolling.
    assert box["height"] >= 44
    assert box["y"] + box["height"] <= PHONE["height"]
    assert_accessible(page)
    button.click()
    expect(page.get_by_text("oscar has it").first).to_be_visible()
    assert rows(portal, "SELECT status FROM incidents_incident") == [("acknowledged",)]


def _add_note_by_keyboard(page: Page) -> None:
    _tab_to(page, "Skip to the page")
    page.keyboard.press("Enter")
    _tab_to(page, "Shop front is down")
    page.keyboard.press("Enter")
    page.wait_for_url("**/incidents/*/")
    _tab_to(page, "What did you see or do?")
    page.keyboard.type("The database is full, making room.")
    _tab_to(page, "Add note")
    page.keyboard.press("Enter")
    expect(page.get_by_text("making room").first).to_be_visible()


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until what has the focus is called `name`, and can be seen to have it."""
    passed = []
    for _ in range(90):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """() => {
                const one = document.activeElement;
                const style = getComputedStyle(one);
                return {
                  name: (one.ariaLabel || one.labels?.[0]?.textContent || one.textContent
                         || one.placeholder || "").trim(),
                  isSeen: style.outlineStyle !== "none" || style.boxShadow !== "none",
                };
            }"""
        )
        if name in found["name"]:
            assert found["isSeen"], f"{name} shows no focus"
            return
        passed.append(found["name"][:40])
    raise AssertionError(f"Tab never came to {name!r}: {passed}")


def _read_uptime(page: Page) -> None:
    page.goto("/monitors/")
    row = page.locator("tr, li", has_text="Shop front").first
    expect(row).to_contain_text("%")
    expect(page.get_by_role("link", name="Add monitor")).to_have_count(0)
    page.get_by_role("link", name="Shop front").click()
    expect(page.get_by_role("button", name="Probe now")).to_have_count(0)
    expect(page.locator(".ops-outages")).to_contain_text("HTTP 500")
