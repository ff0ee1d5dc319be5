"""The list of incidents, the incident page, and its buttons: one service call each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, cast

from django import forms as django_forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import conditional_page, require_POST, require_safe

from incidents import queries, services
from incidents.forms import (
    NoteForm,
    PriorityForm,
    PublicForm,
    ResolveForm,
    SnoozeForm,
)
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
_Act = Callable[[HttpRequest, int], HttpResponse]


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
    """What broke, how bad, since when, who is on it.

    `?live` is that first answer alone, `?live=alerts` and `?live=timeline` what their
    names say.
    """
    incident = _incident(pk)
    part = request.GET.get("live")
    if part is not None:
        return _live_part(request, incident, part)
    return _page(request, incident)


def _live_part(request: HttpRequest, incident: Incident, part: str) -> HttpResponse:
    context: dict[str, Any] = {"incident": incident, "now": timezone.now()}
    if part == "alerts":
        context["alerts"] = queries.alerts_of(incident=incident)
        return render(request, "incidents/_alerts.html", context)
    if part == "timeline":
        context["timeline"] = _timeline(request, incident)
        return render(request, "incidents/_timeline.html", context)
    context["top"] = queries.top(incident=incident)
    return render(request, "incidents/_top.html", context)


def _page(
    request: HttpRequest,
    incident: Incident,
    *,
    note_form: NoteForm | None = None,
    public_form: PublicForm | None = None,
) -> HttpResponse:
    """Render the page; a form that was refused keeps what was typed."""
    alerts = queries.alerts_of(incident=incident)
    is_refused = bool(note_form or public_form)
    context = {
        "incident": incident,
        "now": timezone.now(),
        "top": queries.top(incident=incident),
        "alerts": alerts,
        "runbooks": queries.runbooks(incident=incident, alerts=alerts),
        "timeline": _timeline(request, incident),
        "is_long": _is_long(request),
        "similar": queries.similar(incident=incident),
        "note_form": note_form or NoteForm(),
        "public_form": public_form
        or PublicForm(
            initial={
                "message": incident.public_message,
                # Whoever opens it wants to tell something.
                "is_public": True,
            }
        ),
        "snooze_form": SnoozeForm(),
        "priority_form": PriorityForm(initial={"priority": incident.priority}),
        "has_status_page": settings.PORTAL_PUBLIC_STATUS and incident.service.is_public,
        "max_note": services.MAX_NOTE,
        "max_public_message": services.MAX_PUBLIC_MESSAGE,
    }
    return render_page(
        request,
        "incidents/detail.html",
        context,
        title=_("Incident #%(number)d") % {"number": incident.pk},
        status=422 if is_refused else 200,
    )


def _acting(view: _Act) -> _Act:
    """Let a button be pressed by whoever may act, and by POST alone.

    Whoever was signed out meanwhile comes back to the page that has the button.
    """
    guarded = requires("incidents.change_incident")(view)

    @require_POST
    @wraps(guarded)
    def answer(request: HttpRequest, pk: int) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(reverse("incidents:detail", args=[pk]))
        return guarded(request, pk)

    return answer


@_acting
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the incident."""
    return _act(
        request,
        pk,
        lambda: services.acknowledge(incident_id=pk, **_actor(request)),
        _("Acknowledged. Nobody is paged about it any more."),
    )


@_acting
def unacknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the incident back."""
    return _act(
        request,
        pk,
        lambda: services.unacknowledge(incident_id=pk, **_actor(request)),
        _("The acknowledgement is taken back."),
    )


@_acting
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


@_acting
def note(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a note to the timeline."""
    form = NoteForm({"text": _typed(request, "text")})
    incident = _incident(pk)
    form.is_valid()
    try:
        services.add_note(incident_id=pk, **form.cleaned_data, **_actor(request))
    except services.UnableToAddNote as error:
        form.add_error("text", str(error))
        return _page(request, incident, note_form=form)
    messages.success(request, _("Note added."))
    return redirect("incidents:detail", pk=pk)


@_acting
def tell_public(request: HttpRequest, pk: int) -> HttpResponse:
    """Say on the status page what users should know."""
    typed = {
        "message": _typed(request, "message"),
        "is_public": request.POST.get("is_public", ""),
    }
    form = PublicForm(typed)
    incident = _incident(pk)
    form.is_valid()
    try:
        services.tell_public(incident_id=pk, **form.cleaned_data, **_actor(request))
    except services.UnableToTellPublic as error:
        form.add_error("message", str(error))
        return _page(request, incident, public_form=form)
    messages.success(
        request,
        _("The status page shows it.")
        if form.cleaned_data["is_public"]
        else _("The status page does not show it."),
    )
    return redirect("incidents:detail", pk=pk)


@_acting
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


@_acting
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


def _typed(request: HttpRequest, name: str) -> str:
    """Return a text without NUL, which no column and no form takes."""
    return request.POST.get(name, "").replace("\x00", "")


def _incident(pk: int) -> Incident:
    try:
        return queries.incident(pk=pk)
    except Incident.DoesNotExist as error:
        raise Http404 from error


def _is_long(request: HttpRequest) -> bool:
    return request.GET.get("timeline") == "all"


def _timeline(request: HttpRequest, incident: Incident) -> queries.Timeline:
    limit = LONG_TIMELINE if _is_long(request) else queries.MAX_TIMELINE
    return queries.timeline_of(incident=incident, limit=limit)


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
