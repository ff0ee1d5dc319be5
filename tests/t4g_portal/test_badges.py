"""Badges: what they say, how they are drawn, and that no question breaks them."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import time_machine
from django.core.cache import cache

from monitors.status import Status
from monitors.uptime import Uptime
from t4g_portal.public import badges
from tests.factories import make_monitor, make_service
from tests.history import DAY, HOUR, MINUTE, Trouble, make_ledger

SVG = "{http://www.w3.org/2000/svg}"


def make_watched(now, *troubles: Trouble, **values):
    service = make_service(**{"name": "Shop", "slug": "shop", **values})
    make_ledger(monitor=make_monitor(service=service), now=now, troubles=troubles)
    return service


@pytest.fixture
def _at_now(now, db):
    cache.clear()
    with time_machine.travel(now, tick=False):
        yield


def contrast(color: str) -> float:
    """Return the contrast of white on a color (WCAG 2.2)."""
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in parts
    )
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


@pytest.mark.parametrize(
    ("uptime", "message"),
    [
        (Uptime(total_s=100, up_s=100), "100\u00a0%"),
        (Uptime(total_s=100_000, up_s=99_999.9, down_s=0.1), "99.99\u00a0%"),
        (
            Uptime(total_s=100, up_s=50, unknown_s=50),
            "100\u00a0% over 50\u00a0% observed",
        ),
        (Uptime(total_s=100, maintenance_s=50, up_s=50), "100\u00a0%"),
        (Uptime(total_s=100, unknown_s=100), "No data"),
        (Uptime(total_s=0), "No data"),
    ],
)
def test_uptime_is_never_more_than_was_reached_and_says_what_was_observed(
    uptime, message
):
    assert badges.uptime_badge(label="x", uptime=uptime).message == message


@pytest.mark.parametrize("status", list(Status))
def test_every_state_has_a_word_and_a_color_that_can_be_read(status):
    badge = badges.status_badge(label="x", status=status)

    assert badge.message
    assert contrast(badge.color) >= 4.5


@pytest.mark.parametrize(
    "label", ["", "Shop", "Café & <b>", "日本語 💥", "a\u0301" * 60]
)
def test_picture_is_whole_and_says_itself(label):
    badge = badges.status_badge(label=label, status=Status.UP)

    picture = ElementTree.fromstring(badges.as_svg(badge))

    said = f"{label}: Operational" if label else "Operational"
    assert picture.get("role") == "img"
    assert picture.get("aria-label") == said
    assert picture.findtext(f"{SVG}title") == said
    texts = picture.findall(f".//{SVG}text")
    assert [text.text for text in texts] == [
        text for text in (label, "Operational") if text
    ]
    last = texts[-1]
    right = int(last.get("x") or 0) + int(last.get("textLength") or 0)
    assert int(picture.get("width") or 0) - right == 7


def test_no_picture_has_a_style_or_script():
    drawn = badges.as_svg(badges.status_badge(label="x", status=Status.DOWN))

    assert "style" not in drawn
    assert "script" not in drawn
    assert drawn.count("http") == 1


@pytest.mark.usefixtures("_at_now")
@pytest.mark.parametrize(
    ("troubles", "address", "message"),
    [
        ([], "shop.json", "Operational"),
        ([Trouble(Status.DOWN, MINUTE, None)], "shop.json", "Not available"),
        ([Trouble(Status.DOWN, 12 * HOUR, 6 * HOUR)], "shop/24h.json", "75.00\u00a0%"),
        ([Trouble(Status.DOWN, 2 * DAY, 6 * HOUR)], "shop/24h.json", "100\u00a0%"),
        ([Trouble(Status.DOWN, 40 * DAY, 24 * HOUR)], "shop/30d.json", "100\u00a0%"),
        ([Trouble(Status.DOWN, 40 * DAY, 24 * HOUR)], "shop/90d.json", "98.88\u00a0%"),
    ],
)
def test_badge_says_how_the_service_is_and_was(client, now, troubles, address, message):
    make_watched(now, *troubles)

    found = client.get(f"/badges/{address}?lang=en").json()

    assert found["schemaVersion"] == 1
    assert found["message"] == message
    assert found["label"].startswith("Shop")


@pytest.mark.usefixtures("_at_now")
def test_badge_and_page_say_the_same_uptime(client, now):
    make_watched(
        now,
        Trouble(Status.DOWN, 40 * DAY, 7 * HOUR),
        Trouble(Status.UNKNOWN, 9 * DAY, DAY),
    )

    badge = client.get("/badges/shop/90d.json?lang=en").json()
    page = client.get("/status/?lang=en").content.decode()

    share, _, coverage = badge["message"].partition(" over ")
    assert f">{share}<" in page
    assert coverage == "98\u00a0% observed"


@pytest.mark.usefixtures("_at_now")
def test_label_can_be_chosen(client, now):
    make_watched(now)

    answer = client.get("/badges/shop.svg?label=<our>%20shop%0A%00")

    assert answer["Content-Type"] == "image/svg+xml"
    picture = ElementTree.fromstring(answer.content)
    assert picture.findtext(f".//{SVG}text") == "<our> shop"


@pytest.mark.usefixtures("_at_now")
def test_service_that_is_not_public_looks_like_one_that_is_not_there(client, now):
    make_watched(now, slug="hidden", is_public=False)

    hidden, unknown = (client.get(f"/badges/{slug}.svg") for slug in ("hidden", "nope"))

    assert hidden.status_code == unknown.status_code == 404
    assert hidden.content == unknown.content
    assert client.get("/badges/hidden/30d.json").json()["isError"] is True


@pytest.mark.usefixtures("_at_now")
@pytest.mark.parametrize(
    "address",
    [
        "shop.png",
        "shop",
        "shop.svg/",
        "shop/1d.svg",
        "shop/24h.exe",
        "shop/24h.svg.json",
        "%00.svg",
        "sh%20op.svg",
        "%FF.svg",
        "../shop.svg",
        "x" * 5000 + ".svg",
        "shop/%2e%2e/30d.svg",
    ],
)
def test_strange_addresses_are_not_found(client, now, address):
    make_watched(now)

    assert client.get(f"/badges/{address}").status_code == 404


@pytest.mark.usefixtures("_at_now")
def test_badges_cost_few_queries(client, now, django_assert_num_queries):
    make_watched(now)
    for address, count in (("shop.svg", 2), ("shop/24h.svg", 2), ("shop/90d.svg", 3)):
        client.get(f"/badges/{address}")
        with django_assert_num_queries(count):
            client.get(f"/badges/{address}")
