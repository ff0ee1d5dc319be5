"""Times of the signed-in pages are said in the reader's zone, which the browser tells."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

# Beyond them, what is added to a moment, or a zone's clocks, may not exist.
YEARS = range(1970, 2201)
# Set by static/portal/shell.js.
COOKIE = "zone"


class ReaderZoneMiddleware:
    """Activates the reader's zone for pages that ask for a permission.

    Not for the admin, where what people type is in the portal's zone for everybody, and
    not for public pages, which proxies hand to others.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return self._get_response(request)
        finally:
            timezone.deactivate()

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., HttpResponse],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Called by Django once the view is known."""
        if hasattr(view, "required_permissions"):
            zone = _zone(unquote(request.COOKIES.get(COOKIE, "")))
            if zone is not None:
                timezone.activate(zone)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo | None:
    """Return a zone by name; None for what isn't one, such as a made-up cookie."""
    return ZoneInfo(name) if name in _names() else None


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(available_timezones())
