"""Times in the reader's zone."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from t4g_portal.lib.access import requires
from t4g_portal.lib.zones import ReaderZoneMiddleware


@requires("monitors.view_monitor")
def signed_in(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def public(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def zone_for(view, cookie: str) -> str:
    """The zone that is active when the view is called."""
    seen: list[str] = []
    request = RequestFactory().get("/")
    request.COOKIES["zone"] = cookie

    def respond(request: HttpRequest) -> HttpResponse:
        middleware.process_view(request, view, (), {})
        seen.append(timezone.get_current_timezone_name())
        return HttpResponse()

    middleware = ReaderZoneMiddleware(respond)
    middleware(request)
    return seen[0]


@pytest.mark.parametrize("cookie", ["America/New_York", "America%2FNew_York"])
def test_signed_in_page_is_in_the_readers_zone(cookie: str):
    assert zone_for(signed_in, cookie) == "America/New_York"
    assert timezone.get_current_timezone_name() == "Europe/Paris"


def test_page_that_proxies_keep_is_in_the_portals_zone():
    assert zone_for(public, "America/New_York") == "Europe/Paris"


@pytest.mark.parametrize(
    "cookie", ["", "Nowhere/Atall", "../../etc/passwd", "\0", "x" * 5000]
)
def test_made_up_zone_is_the_portals(cookie: str):
    assert zone_for(signed_in, cookie) == "Europe/Paris"
