"""The simulator's page: it reads only, so its answer has an address to send around.

And what must stay true: from an answer of its, kept and looked at on the same page.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from incidents import queries, simulator
from incidents.expectations import editing, pages
from incidents.expectations.forms import KeepForm
from incidents.expectations.pages import HORIZON_MINUTES
from incidents.models import EscalationPolicy, Service
from incidents.oncall import wall
from incidents.simulator_page import clock_of, lines
from t4g_portal.lib.access import requires
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.wording import duration
from t4g_portal.lib.zones import YEARS

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
    form = SimulatorForm(
        _asked(request) if is_asked else None, initial={"at": timezone.localtime()}
    )
    answer = _answer(request, form) if is_asked else None
    return _page(request, form, answer)


@require_POST
@requires("incidents.view_escalationpolicy", "incidents.add_reachexpectation")
def keep(request: HttpRequest) -> HttpResponse:
    """Save a part of an answer as what must stay true; the address says which answer."""
    form = SimulatorForm(_asked(request))
    answer = _answer(request, form)
    if answer is None:
        return _page(request, form, None, status=422)
    kept = _keep_form(form, answer["run"], data=request.POST)
    if not kept.is_valid():
        return _page(request, form, {**answer, "keep_form": kept}, status=422)
    row = editing.create_expectation(values=kept.values(), now=timezone.now())
    messages.success(
        request, gettext("“%(name)s” is watched from now on.") % {"name": row.name}
    )
    return redirect(f"{reverse('simulator')}?{request.GET.urlencode()}#expectations")


def _page(
    request: HttpRequest,
    form: SimulatorForm,
    answer: dict[str, Any] | None,
    *,
    status: int = 200,
) -> HttpResponse:
    now = timezone.now()
    context: dict[str, Any] = {"form": form, "now": now, **(answer or {})}
    if request.user.has_perm("incidents.view_reachexpectation"):
        rows = pages.rows(services=queries.services(), now=now)
        context |= {
            "expectations": rows,
            "broken_count": sum(row.is_broken for row in rows),
        }
    may_keep = request.user.has_perm("incidents.add_reachexpectation")
    if answer is not None and may_keep:
        context.setdefault("keep_form", _keep_form(form, answer["run"]))
    return render_page(
        request,
        "simulator/page.html",
        context,
        title=gettext("Simulator"),
        status=status,
    )


def _keep_form(
    form: SimulatorForm, run: simulator.Simulation, data: QueryDict | None = None
) -> KeepForm:
    return KeepForm(
        data,
        run=run,
        service=form.cleaned_data["service"],
        policy=form.cleaned_data["policy"],
        now=timezone.now(),
    )


def _asked(request: HttpRequest) -> QueryDict:
    """Return what was asked, as the form shows it: an address may leave out the rest."""
    asked = request.GET.copy()
    for name, usual in (("priority", Priority.P0), ("minutes", "60")):
        asked.setdefault(name, usual)
    return asked


def _answer(request: HttpRequest, form: SimulatorForm) -> dict[str, Any] | None:
    """Return what the page shows of an answer; None when the question makes no sense."""
    # The form's time is a wall time; whose, says the service.
    with timezone.override("UTC"):
        if not form.is_valid():
            return None
    asked = form.cleaned_data
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
    found = lines(run, zone=zone)
    other = request.GET.copy()
    other["fold"] = "0" if is_second else "1"
    timezone.activate(zone)
    return {
        "run": run,
        "lines": found,
        "is_deadline_last": not any(line.follows_deadline for line in found),
        "is_for_nobody": any(line.is_for_nobody for line in found),
        "service": service,
        "priority": Priority(asked["priority"]).short,
        "zone": service.time_zone,
        # Django's own names none in an hour that comes twice.
        "zone_name": run.at.astimezone(zone).tzname(),
        "due_clock": clock_of(run, zone=zone)(run.response_due_at),
        "horizon": horizon,
        "response": run.response_due_at - run.at,
        "is_twice": first != last,
        "is_second": is_second,
        "is_skipped": wall.shown(first, zone) != typed,
        "query": request.GET.urlencode(),
        "other_query": other.urlencode(),
    }
