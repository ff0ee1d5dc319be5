"""The simulator's page. It reads only, so its answer has an address to send around."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from incidents import simulator
from incidents.models import EscalationPolicy, Service
from incidents.oncall import wall
from incidents.simulator_page import lines
from t4g_portal.lib.access import requires
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.wording import duration
from t4g_portal.lib.zones import YEARS

HORIZON_MINUTES = (30, 60, 240, 1440)
_FIELD = {"class": "ops-field"}


def _horizons() -> list[tuple[str, str]]:
    return [
        (str(minutes), duration(timedelta(minutes=minutes)))
        for minutes in HORIZON_MINUTES
    ]


class SimulatorForm(forms.Form):
    """What breaks, how bad, and when; times are the service's."""

    service = forms.ModelChoiceField(
        label=_("Service"),
        queryset=Service.objects.order_by("position", "name"),
        to_field_name="slug",
        empty_label=_("Choose a service"),
        widget=forms.Select(_FIELD),
        error_messages={
            "required": _("Choose a service."),
            "invalid_choice": _("Choose one of the services offered."),
        },
    )
    priority = forms.ChoiceField(
        label=_("Priority"),
        choices=Priority.choices,
        initial=Priority.P0,
        widget=forms.Select(_FIELD),
    )
    at = forms.DateTimeField(
        label=_("Moment"),
        required=False,
        widget=forms.DateTimeInput(
            {**_FIELD, "type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
        ),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        error_messages={"invalid": _("Enter a date and a time.")},
    )
    policy = forms.ModelChoiceField(
        label=_("Escalation policy"),
        queryset=EscalationPolicy.objects.order_by("name"),
        required=False,
        empty_label=_("As a real incident"),
        widget=forms.Select(_FIELD),
        error_messages={"invalid_choice": _("Choose one of the policies offered.")},
    )
    minutes = forms.TypedChoiceField(
        label=_("Shown for"),
        choices=_horizons,
        coerce=int,
        initial="60",
        required=False,
        empty_value="60",
        widget=forms.Select(_FIELD),
    )

    def clean_at(self) -> Any:
        """Return the moment, if there are clocks and a horizon around it."""
        at = self.cleaned_data["at"]
        if at is not None and at.year not in YEARS:
            raise forms.ValidationError(_("Enter a date and a time."))
        return at


@require_safe
@requires("incidents.view_escalationpolicy")
def simulator_page(request: HttpRequest) -> HttpResponse:
    """Who would be told of an incident, by what, when and why."""
    is_asked = "service" in request.GET
    now = timezone.localtime()
    form = SimulatorForm(_asked(request) if is_asked else None, initial={"at": now})
    context: dict[str, Any] = {"form": form}
    if is_asked:
        # The form's time is a wall time; whose, says the service.
        with timezone.override("UTC"):
            is_valid = form.is_valid()
        if is_valid:
            context |= _answer(request, form.cleaned_data)
    return render_page(
        request, "simulator/page.html", context, title=gettext("Simulator")
    )


def _asked(request: HttpRequest) -> QueryDict:
    """Return what was asked, as the form shows it: an address may leave out the rest."""
    asked = request.GET.copy()
    for name, usual in (("priority", Priority.P0), ("minutes", "60")):
        asked.setdefault(name, usual)
    return asked


def _answer(request: HttpRequest, asked: dict[str, Any]) -> dict[str, Any]:
    service: Service = asked["service"]
    zone = ZoneInfo(service.time_zone)
    is_second = request.GET.get("fold") == "1"
    typed = (asked["at"] or timezone.now().astimezone(zone)).replace(tzinfo=None)
    first, last = wall.first(typed, zone), wall.last(typed, zone)
    horizon = timedelta(minutes=int(asked["minutes"]))
    run = simulator.run(
        service=service,
        priority=asked["priority"],
        at=last if is_second else first,
        fixed=asked["policy"],
        horizon=horizon,
    )
    found = lines(run)
    other = request.GET.copy()
    other["fold"] = "0" if is_second else "1"
    timezone.activate(zone)
    return {
        "run": run,
        "lines": found,
        "is_for_nobody": any(line.is_for_nobody for line in found),
        "service": service,
        "priority": Priority(asked["priority"]).short,
        "zone": service.time_zone,
        "horizon": horizon,
        "response": run.response_due_at - run.at,
        "is_twice": first != last,
        "is_second": is_second,
        "is_skipped": wall.shown(first, zone) != typed,
        "other_query": other.urlencode(),
    }
