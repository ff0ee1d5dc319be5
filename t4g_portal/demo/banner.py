"""Says on every page that the data is made up; installed only where PORTAL_DEMO is on."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

# Attributes of the shell hold arrows.
_BODY = re.compile(rb"""<body(?:"[^"]*"|'[^']*'|[^'">])*>""", re.IGNORECASE)


class DemoBanner:
    """Puts the banner at the top of each whole page, whichever template made it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # A page that compresses itself would have no place for it.
        request.META.pop("HTTP_ACCEPT_ENCODING", None)
        answer = self._get_response(request)
        if not isinstance(answer, HttpResponse):
            return answer
        if not answer.get("Content-Type", "").startswith("text/html"):
            return answer
        if answer.get("X-Frame-Options") == "SAMEORIGIN":
            # It stands in a frame of a page that has the banner already.
            return answer
        found = _BODY.search(answer.content)
        if found is not None:
            banner = render_to_string("demo/_banner.html", {"user": _user(request)})
            end = found.end()
            answer.content = (
                answer.content[:end] + banner.encode() + answer.content[end:]
            )
        return answer


def _user(request: HttpRequest) -> object:
    return getattr(request, "user", None)
