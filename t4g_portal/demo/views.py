"""The page that breaks and mends the demo's platform, and the inbox of what was sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from incidents.models import Incident
from monitors.queries.glances import Glance, all_glances
from t4g_portal.demo import inbox, parts
from t4g_portal.demo.parts import Mode, Part
from t4g_portal.lib.access import requires
from t4g_portal.lib.live import live_response
from t4g_portal.lib.pages import render_page

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One part of the platform: how it really is, and what the portal says of it."""

    part: Part
    mode: Mode | None
    glance: Glance | None


@require_safe
@requires("monitors.view_monitor")
def platform(request: HttpRequest) -> HttpResponse:
    """What can be broken; `?live` is the part that refreshes."""
    now = timezone.now()
    context = {**_shown(now), "now": now}
    if "live" in request.GET:
        return live_response(request, "demo/_platform.html", context)
    return render_page(
        request, "demo/platform.html", context, title=_("The demo platform")
    )


@require_POST
@requires("monitors.view_monitor")
def turn(request: HttpRequest) -> HttpResponse:
    """Break a part, or mend it."""
    try:
        parts.turn(
            settings.DATA_DIR,
            part=request.POST.get("part", ""),
            mode=request.POST.get("mode", ""),
        )
    except KeyError as error:
        raise Http404 from error
    return redirect("demo:platform")


@require_safe
@requires("monitors.view_monitor")
def inbox_page(request: HttpRequest) -> HttpResponse:
    """What Slack and the mail server would have been sent; `?live` as above."""
    context = {
        "messages_sent": inbox.newest(settings.DATA_DIR, count=_SHOWN),
        "now": timezone.now(),
    }
    if "live" in request.GET:
        return live_response(request, "demo/_inbox.html", context)
    return render_page(
        request, "demo/inbox.html", context, title=_("Messages of the demo")
    )


def _shown(now: datetime) -> dict[str, object]:
    glances = {glance.name: glance for glance in all_glances(now=now)}
    broken = parts.modes(settings.DATA_DIR)
    return {
        "lines": [
            Line(
                part=part,
                mode=part.mode(broken.get(part.name, "")),
                glance=glances.get(part.monitor),
            )
            for part in parts.PARTS
        ],
        "incidents": Incident.objects.open()
        .select_related("service", "acknowledged_by")
        .order_by("-opened_at")[:5],
        "newest_messages": inbox.newest(settings.DATA_DIR, count=3),
    }
