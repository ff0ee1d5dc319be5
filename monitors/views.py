"""The monitors list and the monitor page."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from monitors import bulk
from monitors.models import Monitor, Threshold
from monitors.pages.chart import Bound, Mark, latency_chart
from monitors.pages.marks import marks
from monitors.pages.ranges import REACHES, asked_for
from monitors.queries.listing import STATES, Wanted, list_monitors
from monitors.queries.page import (
    MonitorPage,
    monitor_page,
    monitor_record,
    monitor_top,
)
from t4g_portal.lib.access import requires
from t4g_portal.lib.live import live_response
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.retelling import retold

_MAX_TEXT = 200


@require_safe
@requires("monitors.view_monitor")
def monitor_list(request: HttpRequest) -> HttpResponse:
    """Every monitor, what needs a look first; `?live` is the part that refreshes."""
    now = timezone.now()
    wanted = _wanted(request)
    query = _query(request, without=("live",))
    context = {
        "listing": list_monitors(
            wanted=wanted, page_number=request.GET.get("page", 1), now=now
        ),
        "wanted": wanted,
        "kinds": Monitor._meta.get_field("kind").flatchoices,
        "now": now,
        "bulk_actions": bulk.choices(request),
        "uptime_formula": _("(up + degraded) ÷ (up + degraded + down), rounded down"),
        "query": query,
        "query_without_state": _query(request, without=("live", "state", "page")),
        "query_without_page": _query(request, without=("live", "page")),
        "live_url": f"?{query}&live" if query else "?live",
    }
    if "live" in request.GET:
        return live_response(request, "monitors/_list.html", context)
    return render_page(request, "monitors/list.html", context, title=_("Monitors"))


@require_POST
@requires("monitors.change_monitor")
def monitor_bulk(request: HttpRequest) -> HttpResponse:
    """Do what the admin can do with several monitors; then back to the list."""
    answer = bulk.perform(request)
    return answer or redirect(_back(request))


@require_safe
@requires("monitors.view_monitor")
def monitor_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One monitor: how it is, since when and why.

    `?live=top` and `?live=record` are the parts that refresh.
    """
    now = timezone.now()
    reach, form = asked_for(query=request.GET, now=now)
    live = request.GET.get("live")
    try:
        if live == "record":
            record = monitor_record(monitor_id=pk, reach=reach, now=now)
            return live_response(
                request, "monitors/_record.html", {"record": record, "now": now}
            )
        if live is not None:
            top = monitor_top(monitor_id=pk, now=now)
            return live_response(request, "monitors/_top.html", {"top": top})
        page = monitor_page(monitor_id=pk, reach=reach, now=now)
    except Monitor.DoesNotExist as error:
        raise Http404 from error
    bounds = _bounds(page)
    deployed = marks(
        monitor=page.top.monitor,
        start=page.latency.start,
        end=page.latency.end,
        may=request.user.has_perm,
    )
    context = {
        "page": page,
        "top": page.top,
        "record": page.record,
        "now": now,
        "bounds": bounds,
        "chart": latency_chart(
            latency=page.latency,
            marks=[*deployed, *_marks(page)],
            bounds=bounds,
            reach=reach.key,
        ),
        "mark_kinds": {mark.kind for mark in deployed},
        "reaches": REACHES,
        "range_form": form,
        "record_url": f"?{_query(request, without=('live',))}&live=record",
        "ping_url": settings.PORTAL_URL
        + reverse("monitors:ping", args=[page.top.monitor.ping_key]),
    }
    return render_page(
        request, "monitors/detail.html", context, title=page.top.monitor.name
    )


def _back(request: HttpRequest) -> str:
    """Return the list as it was filtered, or the page of the monitor it was about."""
    back = request.POST.get("back", "")
    if back.isdecimal() and len(back) < 19:
        return reverse("monitors:detail", args=[int(back)])
    return f"{reverse('monitors:list')}?{QueryDict(back).urlencode()}"


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
