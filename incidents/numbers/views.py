"""The page of numbers and its tables as files."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import conditional_page, require_safe

from incidents import queries
from incidents.numbers import drawing, words
from incidents.numbers.board import board
from incidents.numbers.period import CUSTOM, PERIODS, PeriodForm, asked_for
from incidents.numbers.scope import Scope
from incidents.numbers.tables import TABLES
from t4g_portal.lib.access import requires
from t4g_portal.lib.csv_files import csv_response
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.priority import Priority


@require_safe
@requires("incidents.view_incident")
@conditional_page
def numbers(request: HttpRequest) -> HttpResponse:
    """How fast people are, how often they are disturbed, and by what."""
    now = timezone.now()
    services = queries.services()
    slugs = {service.slug: service.pk for service in services}
    scope, form = _scope(request, slugs, now)
    found = board(scope=scope, now=now)
    lines, period = found.response.columns, scope.period
    context = {
        "board": found,
        "whole": found.response.whole,
        "answer": words.answer(whole=found.response.whole),
        "lines": [
            (priority.value, found.response.by_priority[priority.value])
            for priority in Priority
            if scope.priority in ("", priority.value)
        ],
        "incident_chart": drawing.incident_chart(lines=lines, period=period),
        "response_chart": drawing.response_chart(lines=lines, period=period),
        "people": [
            (one, drawing.page_strip(counts=one.columns, period=period))
            for one in found.interruptions.people
        ],
        "channels": [
            (one, drawing.page_strip(counts=one.columns, period=period))
            for one in found.interruptions.channels
        ],
        "period": period,
        "periods": PERIODS,
        "form": form,
        "services": services,
        "service": request.GET.get("service", "") if scope.service_id else "",
        "priorities": Priority.choices,
        "priority": scope.priority,
        "rest_query": _rest_query(request, scope),
        "query": _query(request, scope),
        "is_filtered": bool(scope.service_id or scope.priority),
        "now": now,
    }
    return render_page(
        request, "incidents/numbers/page.html", context, title=_("Numbers")
    )


@require_safe
@requires("incidents.view_incident")
def table(request: HttpRequest, name: str) -> HttpResponse:
    """One of the tables as a CSV file."""
    make = TABLES.get(name)
    if make is None:
        raise Http404
    now = timezone.now()
    slugs = {service.slug: service.pk for service in queries.services()}
    scope, _form = _scope(request, slugs, now)
    made = make(scope=scope, now=now)
    first, last = scope.period.first, scope.period.last
    return csv_response(
        name=f"{name}-{first.isoformat()}-{last.isoformat()}.csv",
        header=made.header,
        rows=made.rows,
    )


def _scope(
    request: HttpRequest, slugs: dict[str, int], now: datetime
) -> tuple[Scope, PeriodForm]:
    """Return what the address asks for; what isn't known asks for all."""
    period, form = asked_for(query=request.GET, now=now)
    priority = request.GET.get("priority", "")
    return Scope(
        period=period,
        service_id=slugs.get(request.GET.get("service", "")),
        priority=priority if priority in Priority.values else "",
    ), form


def _rest_query(request: HttpRequest, scope: Scope) -> str:
    """Return the filters without the period, for links to other periods."""
    kept = {
        "service": request.GET.get("service", "") if scope.service_id else "",
        "priority": scope.priority,
    }
    return urlencode({name: value for name, value in kept.items() if value})


def _query(request: HttpRequest, scope: Scope) -> str:
    """Return what the page shows, for links to the files."""
    period = scope.period
    shown = {"period": period.key}
    if period.key == CUSTOM:
        shown |= {"start": period.first.isoformat(), "end": period.last.isoformat()}
    rest = _rest_query(request, scope)
    return urlencode(shown) + (f"&{rest}" if rest else "")
