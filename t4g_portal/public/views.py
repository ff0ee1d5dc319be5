"""The status page as HTML, JSON and Atom, its history, and the badges."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language, get_language_info
from django.utils.translation import gettext as _

from incidents.models import Service
from monitors.models import Monitor
from monitors.queries.glances import Glance, glances
from monitors.queries.ledger import WINDOWS, service_uptimes
from monitors.queries.services import service_health, service_status
from monitors.uptime import Uptime
from t4g_portal.public import badges, feed, incidents
from t4g_portal.public.answering import asked_language, kept, public, set_last_modified
from t4g_portal.public.document import as_document
from t4g_portal.public.status import public_services, status_page

_PAGE_S = 10
_FEED_S = 60
_BADGE_S = 60
# Local days of a window, today included, as the bars of the page show them.
_DAYS = {"30d": 30, "90d": 90}
_BADGE_WINDOWS = ("24h", *_DAYS)


@public(cache_s=_PAGE_S, is_page=True)
@kept
def status(request: HttpRequest) -> HttpResponse:
    """How the services are."""
    page = status_page(now=timezone.now())
    response = _render(request, "status/page.html", {"page": page})
    set_last_modified(response, page.as_of)
    return response


@public(cache_s=_PAGE_S, is_page=True)
def history(request: HttpRequest) -> HttpResponse:
    """Every incident that ended, the newest first."""
    page, found = incidents.past_page(number=request.GET.get("page", "1")[:9])
    context = {"turned": page, "incidents": found, "now": timezone.now()}
    return _render(request, "status/history.html", context, page=page.number)


@public(cache_s=_PAGE_S)
@kept
def status_json(request: HttpRequest) -> HttpResponse:
    """The status page for programs."""
    page = status_page(now=timezone.now())
    response = JsonResponse(as_document(page=page))
    set_last_modified(response, page.as_of)
    return response


@public(cache_s=_FEED_S)
def status_atom(request: HttpRequest) -> HttpResponse:
    """The last incidents for feed readers."""
    found = incidents.newest(count=feed.ENTRY_COUNT)
    body = feed.atom(incidents=found, language=get_language() or "")
    response = HttpResponse(body, content_type=feed.CONTENT_TYPE)
    set_last_modified(response, feed.updated_at(found))
    return response


@public(cache_s=_BADGE_S)
def status_badge(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """How one service is."""
    service = _badged(slug, kind)
    if service is None:
        return _badge(badges.unknown_badge(), kind, status=404)
    label = _label(request, service.name)
    status = service_status(_glances_of(service))
    return _badge(badges.status_badge(label=label, status=status), kind)


@public(cache_s=_BADGE_S)
def uptime_badge(
    request: HttpRequest, slug: str, window: str, kind: str
) -> HttpResponse:
    """How one service was in the last 24 h, 30 or 90 days."""
    if window not in _BADGE_WINDOWS:
        raise Http404
    service = _badged(slug, kind)
    if service is None:
        return _badge(badges.unknown_badge(), kind, status=404)
    named = _("%(service)s uptime %(window)s") % {
        "service": service.name,
        "window": window,
    }
    uptime = _uptime_of(service, window)
    badge = badges.uptime_badge(label=_label(request, named), uptime=uptime)
    return _badge(badge, kind)


def _render(
    request: HttpRequest, template: str, context: dict[str, Any], **kept: str | int
) -> HttpResponse:
    """Render a page. `kept`: what its address asks for beside the language."""
    asked = asked_language(request)
    context |= {
        "portal_name": settings.PORTAL_NAME,
        "language": get_language(),
        "languages": [
            {
                "code": code,
                "name": get_language_info(code)["name_local"].capitalize(),
                "query": urlencode({**kept, "lang": code}),
            }
            for code, _name in settings.LANGUAGES
        ],
        # Links between the pages stay in the language that was asked for.
        "lang_query": f"lang={asked}" if asked else "",
    }
    return render(request, template, context)


def _badged(slug: str, kind: str) -> Service | None:
    """Return a service that the public sees; None for all others alike."""
    if kind not in {"svg", "json"}:
        raise Http404
    found = (service for service in public_services() if service.slug == slug)
    return next(found, None)


def _glances_of(service: Service) -> list[Glance]:
    return glances(monitors=Monitor.objects.filter(service=service), now=timezone.now())


def _uptime_of(service: Service, window: str) -> Uptime:
    """Return the same figure that the status page sums up, where it shows one."""
    now = timezone.now()
    if window not in _DAYS:
        windows = {window: WINDOWS[window]}
        found = service_uptimes(service_ids=[service.pk], now=now, windows=windows)
        return found[service.pk][window]
    [health] = service_health(
        services=[service], monitors=_glances_of(service), now=now
    )
    days = health.days[-_DAYS[window] :]
    return reduce(add, (day.uptime for day in days), Uptime(total_s=0))


def _label(request: HttpRequest, usual: str) -> str:
    """Return the label asked for, else the usual one; one line, and not too long."""
    asked = request.GET.get("label", usual)
    return "".join(filter(str.isprintable, asked)).strip()[: badges.MAX_LABEL]


def _badge(badge: badges.Badge, kind: str, *, status: int = 200) -> HttpResponse:
    if kind == "json":
        body = badge.shields | ({"isError": True} if status != 200 else {})
        return JsonResponse(body, status=status)
    return HttpResponse(
        badges.as_svg(badge), content_type="image/svg+xml", status=status
    )
