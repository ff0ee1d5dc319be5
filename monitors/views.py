"""The monitors list and the monitor page."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import conditional_page, require_safe

from monitors.models import Monitor
from monitors.queries.listing import STATES, Wanted, list_monitors
from t4g_portal.lib.pages import render_page

_MAX_TEXT = 200


@require_safe
@login_required
@conditional_page
def monitor_list(request: HttpRequest) -> HttpResponse:
    """Every monitor, what needs a look first; `?live` is the part that refreshes."""
    now = timezone.now()
    wanted = _wanted(request)
    context = {
        "listing": list_monitors(
            wanted=wanted, page_number=request.GET.get("page", 1), now=now
        ),
        "wanted": wanted,
        "states": STATES,
        "kinds": Monitor._meta.get_field("kind").flatchoices,
        "now": now,
        "query": _query(request, without=("live",)),
        "query_without_state": _query(request, without=("live", "state", "page")),
        "query_without_page": _query(request, without=("live", "page")),
    }
    if "live" in request.GET:
        return render(request, "monitors/_list.html", context)
    return render_page(request, "monitors/list.html", context, title=_("Monitors"))


def monitor_detail(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse("x")


def _query(request: HttpRequest, *, without: tuple[str, ...]) -> str:
    asked = request.GET.copy()
    for name in without:
        asked.pop(name, None)
    return asked.urlencode()


def _wanted(request: HttpRequest) -> Wanted:
    asked = {
        name: request.GET.get(name, "").replace("\0", "").strip()[:_MAX_TEXT]
        for name in ("service", "kind", "tag", "state", "q")
    }
    return Wanted(
        service=asked["service"],
        kind=asked["kind"],
        tag=asked["tag"],
        state=asked["state"] if asked["state"] in STATES else "",
        text=asked["q"],
    )
