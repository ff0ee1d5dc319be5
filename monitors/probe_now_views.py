"""The page of one probe at once: a button, and what it saw."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from monitors.models import Monitor
from monitors.pages.probed import probed_page
from monitors.probe_now import UnableToProbe, probe_now
from t4g_portal.lib.access import requires
from t4g_portal.lib.pages import render_page


@require_http_methods(["GET", "HEAD", "POST"])
@requires("monitors.probe_now")
def probe_now_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the button; a POST probes and shows the result, to htmx without the page."""
    try:
        monitor = Monitor.objects.defer("secret").select_related("service").get(pk=pk)
        shown = _probe(monitor) if request.method == "POST" else {}
    except Monitor.DoesNotExist as error:
        raise Http404 from error
    context = {"monitor": monitor, "now": timezone.now(), **shown}
    if "HX-Request" in request.headers:
        return render(request, "monitors/_probed.html", context)
    return render_page(
        request, "monitors/probe_now.html", context, title=_("Probe now")
    )


def _probe(monitor: Monitor) -> dict[str, object]:
    try:
        probed = probe_now(monitor_id=monitor.pk)
    except UnableToProbe as error:
        return {"problem": str(error)}
    return {
        "probed": probed_page(
            at=probed.at, result=probed.result, is_recorded=probed.is_recorded
        )
    }
