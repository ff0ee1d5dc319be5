"""The list of incidents, the incident page, and its buttons: one service call each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import conditional_page, require_safe

from incidents import deploying_queries, people, queries, services, surroundings
from incidents.buttons import act, act_on_form, actor, button, typed_text
from incidents.collaboration import choosing, handovers
from incidents.collaboration import queries as together_queries
from incidents.forms import (
    NoteForm,
    PriorityForm,
    PublicForm,
    ResolveForm,
    SnoozeForm,
)
from incidents.models import Incident, IncidentRole
from incidents.people import Actor
from t4g_portal.lib.access import requires
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.priority import Priority

# The period of the response times above the list.
MEASURED = timedelta(days=30)
# "Show all" of the timeline; more is for the admin.
LONG_TIMELINE = 5000

# What changed before, at the top of the page.
MAX_SUSPICIONS = 2
# A number with as many does not fit the database's.
_TOO_MANY_DIGITS = 19


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
        "windows": deploying_queries.open_windows(now=now)
        if request.user.has_perm("incidents.view_deploywindow")
        else [],
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
    context |= _first_answer(incident, _reader(request))
    return render(request, "incidents/_top.html", context)


def _first_answer(incident: Incident, reader: Actor) -> dict[str, Any]:
    return {
        "top": queries.top(incident=incident),
        "together": together_queries.together(incident=incident, reader=reader),
    }


def _page(
    request: HttpRequest,
    incident: Incident,
    *,
    note_form: NoteForm | None = None,
    public_form: PublicForm | None = None,
) -> HttpResponse:
    """Render the page; a form that was refused keeps what was typed."""
    now = timezone.now()
    reader = _reader(request)
    may_act = request.user.has_perm("incidents.change_incident")
    alerts = queries.alerts_of(incident=incident)
    around = surroundings.around(incident=incident, now=now, may=request.user.has_perm)
    is_refused = bool(note_form or public_form)
    context = {
        "incident": incident,
        "now": now,
        **_first_answer(incident, reader),
        **(_choices(incident, reader) if may_act else {}),
        "afterwards": together_queries.afterwards(incident=incident),
        "today": timezone.localdate(now),
        "surroundings": around,
        "suspicions": [one for one in around if one.suspicion][:MAX_SUSPICIONS],
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


def _choices(incident: Incident, reader: Actor) -> dict[str, Any]:
    """Return what the forms offer to whoever may act."""
    return {
        "people": together_queries.people_choices(reader=reader),
        "reader_value": choosing.value_of(person=reader),
        "others": together_queries.merge_choices(incident=incident)
        if incident.is_open
        else [],
        "roles": IncidentRole.Role.choices,
        "max_comment": handovers.MAX_COMMENT,
    }


def _reader(request: HttpRequest) -> Actor:
    return people.whole(Actor(cast(User, request.user)))


@button()
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the incident."""
    return act(
        request,
        pk,
        lambda: services.acknowledge(incident_id=pk, **actor(request)),
        _("Acknowledged. Nobody is paged about it any more."),
    )


@button()
def unacknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the incident back."""
    return act(
        request,
        pk,
        lambda: services.unacknowledge(incident_id=pk, **actor(request)),
        _("The acknowledgement is taken back."),
    )


@button()
def escalate(request: HttpRequest, pk: int) -> HttpResponse:
    """Page the next step of the policy now."""
    return act(
        request,
        pk,
        lambda: services.escalate_now(incident_id=pk, **actor(request)),
        _("Escalated: the next step is paged now."),
    )


@button()
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Declare the incident over."""
    form = ResolveForm(request.POST)
    return act_on_form(
        request,
        pk,
        form,
        lambda: services.resolve_incident(
            incident_id=pk, **form.cleaned_data, **actor(request)
        ),
        _("Resolved."),
    )


@button()
def note(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a note to the timeline."""
    form = NoteForm({"text": typed_text(request, "text")})
    incident = _incident(pk)
    form.is_valid()
    try:
        services.add_note(incident_id=pk, **form.cleaned_data, **actor(request))
    except services.UnableToAddNote as error:
        form.add_error("text", str(error))
        return _page(request, incident, note_form=form)
    messages.success(request, _("Note added."))
    return redirect("incidents:detail", pk=pk)


@button()
def tell_public(request: HttpRequest, pk: int) -> HttpResponse:
    """Say on the status page what users should know."""
    typed = {
        "message": typed_text(request, "message"),
        "is_public": request.POST.get("is_public", ""),
    }
    form = PublicForm(typed)
    incident = _incident(pk)
    form.is_valid()
    try:
        services.tell_public(incident_id=pk, **form.cleaned_data, **actor(request))
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


@button()
def snooze(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep the incident quiet for a while."""
    form = SnoozeForm(request.POST)
    now = timezone.now()
    return act_on_form(
        request,
        pk,
        form,
        lambda: services.snooze(
            incident_id=pk,
            until=now + timedelta(minutes=form.cleaned_data["minutes"]),
            **actor(request) | {"now": now},
        ),
        _("Snoozed."),
    )


@button()
def priority(request: HttpRequest, pk: int) -> HttpResponse:
    """Change how urgent the incident is."""
    form = PriorityForm(request.POST)
    return act_on_form(
        request,
        pk,
        form,
        lambda: services.change_priority(
            incident_id=pk, **form.cleaned_data, **actor(request)
        ),
        _("Priority changed. Alerts no longer change it."),
    )


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
