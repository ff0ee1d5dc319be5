"""The page "why was nobody paged?". It reads only, so its answer can be sent around."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from incidents.oncall.forms import MomentField
from monitors.models import Monitor
from monitors.why import account
from t4g_portal.lib.access import requires
from t4g_portal.lib.pages import render_page


class WhyForm(forms.Form):
    """Which monitor, and when by the reader's clock; left out: now."""

    monitor = forms.ModelChoiceField(
        label=_("Monitor"),
        queryset=Monitor.objects.only("name").order_by("name"),
        empty_label=_("Choose a monitor"),
        widget=forms.Select({"class": "ops-field"}),
        error_messages={
            "required": _("Choose a monitor."),
            "invalid_choice": _("Choose one of the monitors offered."),
        },
    )
    at = MomentField(label=_("Moment"), is_end=False, required=False)


@require_safe
@requires("monitors.view_monitor", "incidents.view_incident")
def why_page(request: HttpRequest) -> HttpResponse:
    """What the portal knew of a monitor at a moment, and whom it paged."""
    now = timezone.now()
    is_asked = "monitor" in request.GET
    form = WhyForm(request.GET if is_asked else None, initial={"at": now})
    context: dict[str, Any] = {"form": form, "now": now}
    if is_asked and form.is_valid():
        asked = form.cleaned_data
        at = min(asked["at"] or now, now)
        monitor = _monitor(asked["monitor"].pk)
        context |= {
            # A link names an instant; the field shows it by the reader's clock.
            "form": WhyForm(initial={"monitor": monitor.pk, "at": at}),
            "account": account(monitor=monitor, at=at, now=now),
        }
    return render_page(
        request, "monitors/why.html", context, title=gettext("Why was nobody paged?")
    )


def _monitor(number: int) -> Monitor:
    rows = Monitor.objects.for_pages().defer("secret", "state__facts")
    return rows.get(pk=number)
