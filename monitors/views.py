"""The monitors list and the monitor page."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import conditional_page, require_safe

from monitors.models import Monitor, Threshold
from monitors.pages.chart import Bound, Mark, latency_chart
from monitors.queries.latency import LENGTHS
from monitors.queries.listing import STATES, Wanted, list_monitors
from monitors.queries.page import MonitorPage, monitor_page, monitor_top
from t4g_portal.lib.access import requires
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.retelling import retold

REACHES = (
    ("24h", gettext_lazy("24 h")),
    ("7d", gettext_lazy("7 d")),
    ("30d", gettext_lazy("30 d")),
    ("90d", gettext_lazy("90 d")),
)
_MAX_TEXT = 200


@require_safe
@requires("monitors.view_monitor")
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


@require_safe
@requires("monitors.view_monitor")
@conditional_page
def monitor_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One monitor: how it is, since when and why; `?live` is its top alone."""
    now = timezone.now()
    asked = request.GET.get("range", "")
    reach = asked if asked in LENGTHS else "24h"
    try:
        if "live" in request.GET:
            top = monitor_top(monitor_id=pk, now=now)
            return render(request, "monitors/_top.html", {"top": top})
        page = monitor_page(monitor_id=pk, reach=reach, now=now)
    except Monitor.DoesNotExist as error:
        raise Http404 from error
    bounds = _bounds(page)
    context = {
        "page": page,
        "top": page.top,
        "bounds": bounds,
        "chart": latency_chart(latency=page.latency, marks=_marks(page), bounds=bounds),
        "reaches": REACHES,
        "ping_url": settings.PORTAL_URL
        + reverse("monitors:ping", args=[page.top.monitor.ping_key]),
    }
    return render_page(
        request, "monitors/detail.html", context, title=page.top.monitor.name
    )


def _marks(page: MonitorPage) -> list[Mark]:
    return [
        Mark(
            at=incident.started_at,
            title=f"{incident.priority.upper()} {retold(incident.title)}",
            url=reverse("incidents:detail", args=[incident.pk]),
        )
        for incident in page.incidents
    ]


def _bounds(page: MonitorPage) -> list[Bound]:
    return [
        Bound(level=level, ms=ms)
        for line in page.thresholds
        if line.threshold.measure == Threshold.Measure.LATENCY
        for level, ms in (
            ("warning", line.threshold.warning_bound),
            ("critical", line.threshold.critical_bound),
        )
        if ms is not None
    ]


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
