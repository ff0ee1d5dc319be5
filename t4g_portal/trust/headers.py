"""Headers that every answer carries, beside Django's own and the content policy."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control

# What a page, or whatever were injected into it, may ask of the device: nothing. The
# portal's own pages copy to the clipboard, with a click.
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "browsing-topics",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "usb",
    )
)


def headers_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Forbid what no page needs, and keep what is somebody's own out of caches.

    An answer that looked at the session is somebody's own: nothing on the way stores
    it, and no back button shows it after signing out. A view that says something else
    is left alone. Live parts keep their ETag: they remember the answer themselves.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        session = getattr(request, "session", None)
        if session is not None and session.accessed:
            if "Cache-Control" not in response:
                patch_cache_control(response, private=True, no_store=True)
            response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response

    return answer
