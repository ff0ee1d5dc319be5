"""The list of incidents, the incident page, and its buttons: one service call each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from django import forms as django_forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import conditional_page, require_POST, require_safe

from incidents import queries, services
from incidents.forms import PriorityForm, ResolveForm, SnoozeForm
from incidents.models import Incident, IncidentEvent
from t4g_portal.lib.access import requires
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.priority import Priority

# The period of the response times above the list.
MEASURED = timedelta(days=30)
# "Show all" of the timeline; more is for the admin.
LONG_TIMELINE = 5000

# A number with as many does not fit the database's.
_TOO_MANY_DIGITS = 19

_WEB = IncidentEvent.Via.WEB


@require_safe
@requires("incidents.view_incident")
@conditional_page
def incident_list(request: HttpRequest) -> HttpResponse:
    """What is open and who has it, then what is over; `?live` is the open part."""
    now = timezone.now()
    filters = _filters(request)
    context = {
        "filters": filters,
        "open": queries.open_incidents(filters=filters),
        "query": _query(request),
        "now": now,
    }
    if "live" in request.GET:
        return render(request, "incidents/_open.html", context)
    before = request.GET.get("before", "")
    is_number = before.isdecimal() and len(before) < _TOO_MANY_DIGITS
    context |= {
        "past": queries.past_incidents(
            filters=filters, before=int(before) if is_number else None
        ),
        "times": queries.response_times(since=now - MEASURED, until=now),
        "measured_days": MEASURED.days,
        "services": queries.services(),
        "priorities": Priority.choices,
        "statuses": Incident.Status.choices,
    }
    return render_page(request, "incidents/list.html", context, title=_("Incidents"))


@require_safe
@requires("incidents.view_incident")
@conditional_page
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """What broke, how bad, since when, who is on it; `?live` is that first answer."""
    incident = _incident(pk)
    context = {
        "incident": incident,
        "told": queries.told(incident=incident),
        "now": timezone.now(),
    }
    if "live" in request.GET:
        return render(request, "incidents/_top.html", context)
    is_long = request.GET.get("timeline") == "all"
    context |= {
        "story": queries.story(
            incident=incident,
            timeline_limit=LONG_TIMELINE if is_long else queries.MAX_TIMELINE,
        ),
        "snooze_form": SnoozeForm(),
        "priority_form": PriorityForm(initial={"priority": incident.priority}),
        "max_note": services.MAX_NOTE,
    }
    title = _("Incident #%(number)d") % {"number": incident.pk}
    return render_page(request, "incidents/detail.html", context, title=title)


@require_POST
@requires("incidents.change_incident")
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the incident."""
    return _act(
        request,
        pk,
        lambda: services.acknowledge(incident_id=pk, **_actor(request)),
        _("Acknowledged. Nobody is paged about it any more."),
    )


@require_POST
@requires("incidents.change_incident")
def unacknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the incident back."""
    return _act(
        request,
        pk,
        lambda: services.unacknowledge(incident_id=pk, **_actor(request)),
        _("The acknowledgement is taken back."),
    )


@require_POST
@requires("incidents.change_incident")
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Declare the incident over."""
    form = ResolveForm(request.POST)
    return _act_on_form(
        request,
        pk,
        form,
        lambda: services.resolve_incident(
            incident_id=pk, **form.cleaned_data, **_actor(request)
        ),
        _("Resolved."),
    )


@require_POST
@requires("incidents.change_incident")
def note(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a note to the timeline."""
    return _act(
        request,
        pk,
        lambda: services.add_note(
            incident_id=pk, text=request.POST.get("text", ""), **_actor(request)
        ),
        _("Note added."),
    )


@require_POST
@requires("incidents.change_incident")
def snooze(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep the incident quiet for a while."""
    form = SnoozeForm(request.POST)
    actor = _actor(request)
    return _act_on_form(
        request,
        pk,
        form,
        lambda: services.snooze(
            incident_id=pk,
            until=actor["now"] + timedelta(minutes=form.cleaned_data["minutes"]),
            **actor,
        ),
        _("Snoozed."),
    )


@require_POST
@requires("incidents.change_incident")
def priority(request: HttpRequest, pk: int) -> HttpResponse:
    """Change how urgent the incident is."""
    form = PriorityForm(request.POST)
    return _act_on_form(
        request,
        pk,
        form,
        lambda: services.change_priority(
            incident_id=pk, **form.cleaned_data, **_actor(request)
        ),
        _("Priority changed. Alerts no longer change it."),
    )


def _act(
    request: HttpRequest, pk: int, act: Callable[[], object], done: str
) -> HttpResponse:
    try:
        act()
    except Incident.DoesNotExist as error:
        raise Http404 from error
    except services.UnableToAct as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    return redirect("incidents:detail", pk=pk)


def _act_on_form(
    request: HttpRequest,
    pk: int,
    form: django_forms.Form,
    act: Callable[[], object],
    done: str,
) -> HttpResponse:
    if form.is_valid():
        return _act(request, pk, act, done)
    for errors in form.errors.values():
        for error in errors:
            messages.error(request, str(error))
    return redirect("incidents:detail", pk=_incident(pk).pk)


def _actor(request: HttpRequest) -> dict[str, Any]:
    return {"user": cast(User, request.user), "via": _WEB, "now": timezone.now()}


def _incident(pk: int) -> Incident:
    try:
        return queries.incident(pk=pk)
    except Incident.DoesNotExist as error:
        raise Http404 from error


def _query(request: HttpRequest) -> str:
    asked = request.GET.copy()
    for name in ("live", "before"):
        asked.pop(name, None)
    return asked.urlencode()


def _filters(request: HttpRequest) -> queries.Filters:
    """Read the filters; what is not among the choices asks for everything."""
    asked = {
        name: request.GET.get(name, "").replace("\x00", "").strip()
        for name in ("q", "service", "priority", "status")
    }
    return queries.Filters(
        text=asked["q"][:200],
        service=asked["service"],
        priority=asked["priority"] if asked["priority"] in Priority.values else "",
        status=asked["status"] if asked["status"] in Incident.Status.values else "",
    )
