"""What follows an incident: the postmortem, its action items, the list of what is open."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import (
    conditional_page,
    require_http_methods,
    require_safe,
)

from incidents import people, queries, services, surroundings
from incidents.buttons import act, act_on_form, actor, button, typed_text
from incidents.collaboration import action_items, choosing, postmortems
from incidents.collaboration import queries as together_queries
from incidents.forms import ActionItemForm, OwnerForm, PostmortemForm, WaiveForm
from incidents.models import ActionItem, Incident, Postmortem
from incidents.people import Actor
from t4g_portal.lib.access import check, requires
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.working_time import add_working_days

PAGE = "incidents:postmortem"
_CHANGE = "incidents.change_postmortem"
# Somebody may well need more, but a day stands in the field.
_USUAL_DAYS = 10


@require_safe
@requires("incidents.view_incident", "incidents.view_postmortem")
@conditional_page
def followup(request: HttpRequest) -> HttpResponse:
    """What is still to be done after incidents; `?mine` is the reader's own."""
    reader = _reader(request)
    today = timezone.localdate()
    is_mine = "mine" in request.GET
    context = {
        "followup": together_queries.followup(
            today=today, owner=reader if is_mine else None
        ),
        "is_mine": is_mine,
        "today": today,
    }
    title = _("Follow-up")
    return render_page(request, "incidents/followup.html", context, title=title)


@require_safe
@requires("incidents.view_incident", "incidents.view_postmortem")
@conditional_page
def postmortem(request: HttpRequest, pk: int) -> HttpResponse:
    """The postmortem as a document, fit to be printed."""
    incident = _incident(pk)
    afterwards = together_queries.afterwards(incident=incident)
    now = timezone.now()
    around = surroundings.around(incident=incident, now=now, may=request.user.has_perm)
    context = {
        "incident": incident,
        "now": now,
        "changes": [one for one in around if one.suspicion],
        "today": timezone.localdate(now),
        "afterwards": afterwards,
        "parts": together_queries.written(postmortem=afterwards.postmortem),
        "roles": together_queries.roles_of(incident=incident),
        "timeline": queries.story_of(incident=incident),
        "people": together_queries.people_choices(reader=_reader(request))
        if request.user.has_perm(_CHANGE)
        else [],
        "usual_day": add_working_days(timezone.localdate(now), _USUAL_DAYS),
        "max_reason": postmortems.MAX_REASON,
        "max_item": action_items.MAX_TEXT,
    }
    return render_page(
        request,
        "incidents/postmortem.html",
        context,
        title=_("Postmortem of #%(number)d") % {"number": incident.pk},
    )


@require_http_methods(["GET", "HEAD", "POST"])
@requires("incidents.view_incident", _CHANGE)
def edit_postmortem(request: HttpRequest, pk: int) -> HttpResponse:
    """Write it; what somebody else has saved meanwhile is not overwritten."""
    incident = _incident(pk)
    row = Postmortem.objects.filter(incident=incident).first()
    if request.method == "POST":
        return _save(request, incident, row)
    if row is not None and not row.is_open:
        messages.error(request, _("It is closed. Open it again to change it."))
        return redirect(PAGE, pk=pk)
    typed = {part.name: getattr(row, part.name, "") for part in postmortems.PARTS}
    return _editor(request, incident, typed, row.revision if row else 0)


def _save(
    request: HttpRequest, incident: Incident, row: Postmortem | None
) -> HttpResponse:
    typed = {part.name: typed_text(request, part.name) for part in postmortems.PARTS}
    form = PostmortemForm({**typed, "revision": request.POST.get("revision", "")})
    revision = form.cleaned_data["revision"] if form.is_valid() else -1
    try:
        postmortems.save(
            incident_id=incident.pk, parts=typed, expected=revision, **actor(request)
        )
    except postmortems.ChangedMeanwhile as error:
        # The next save is of somebody who has been told.
        latest = row.revision if row else 0
        return _editor(request, incident, typed, latest, str(error), row)
    except postmortems.UnableToWrite as error:
        return _editor(request, incident, typed, revision, str(error))
    messages.success(request, _("Saved."))
    return redirect(PAGE, pk=incident.pk)


def _editor(
    request: HttpRequest,
    incident: Incident,
    typed: dict[str, str],
    revision: int,
    error: str = "",
    latest: Postmortem | None = None,
) -> HttpResponse:
    """Render the form; `latest`: what somebody else has saved, beside what is typed."""
    parts = [
        {
            "part": part,
            "text": typed[part.name],
            "latest": getattr(latest, part.name, "")
            if getattr(latest, part.name, typed[part.name]) != typed[part.name]
            else "",
        }
        for part in postmortems.PARTS
    ]
    context = {
        "incident": incident,
        "parts": parts,
        "revision": revision,
        "error": error,
        "max_part": postmortems.MAX_PART,
    }
    return render_page(
        request,
        "incidents/postmortem_edit.html",
        context,
        title=_("Postmortem of #%(number)d") % {"number": incident.pk},
        status=422 if error else 200,
    )


@button(_CHANGE, on=PAGE)
def finish(request: HttpRequest, pk: int) -> HttpResponse:
    """Declare it written."""
    return act(
        request,
        pk,
        lambda: postmortems.finish(incident_id=pk, **actor(request)),
        _("Finished."),
        to=PAGE,
    )


@button(_CHANGE, on=PAGE)
def reopen(request: HttpRequest, pk: int) -> HttpResponse:
    """Open it again."""
    return act(
        request,
        pk,
        lambda: postmortems.reopen(incident_id=pk, **actor(request)),
        _("It is open again."),
        to=PAGE,
    )


@button(_CHANGE, on=PAGE)
def waive(request: HttpRequest, pk: int) -> HttpResponse:
    """Decide that none is needed."""
    form = WaiveForm({"reason": typed_text(request, "reason")})
    return act_on_form(
        request,
        pk,
        form,
        lambda: postmortems.waive(
            incident_id=pk, **form.cleaned_data, **actor(request)
        ),
        _("No postmortem is needed."),
        to=PAGE,
    )


@button(_CHANGE, on=PAGE)
def give(request: HttpRequest, pk: int) -> HttpResponse:
    """Say who writes it."""
    form = OwnerForm(request.POST)
    return act_on_form(
        request,
        pk,
        form,
        lambda: postmortems.give(incident_id=pk, **form.cleaned_data, **actor(request)),
        _("Owner changed."),
        to=PAGE,
    )


@button("incidents.add_actionitem", on=PAGE)
def add_item(request: HttpRequest, pk: int) -> HttpResponse:
    """Note what will change."""
    form = _item_form(request)
    return act_on_form(
        request,
        pk,
        form,
        lambda: action_items.add(incident_id=pk, **form.cleaned_data, **actor(request)),
        _("Action item added."),
        to=PAGE,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@requires("incidents.view_incident", "incidents.view_actionitem")
def item(request: HttpRequest, pk: int) -> HttpResponse:
    """One action item: change it, or say that it is done."""
    row = _item(pk)
    error = ""
    form = ActionItemForm(
        {
            "text": row.text,
            "owner": choosing.named(
                contact_id=row.owner_contact_id, user_id=row.owner_user_id
            ),
            "due_on": row.due_on.isoformat(),
        }
    )
    if request.method == "POST":
        check(request, "incidents.change_actionitem")
        form = _item_form(request)
        error = _change(request, row, form)
        if not error:
            messages.success(request, _("Saved."))
            return redirect(PAGE, pk=row.incident_id)
    context = {
        "item": row,
        "form": form,
        "error": error,
        "today": timezone.localdate(),
        "people": together_queries.people_choices(reader=_reader(request)),
        "max_item": action_items.MAX_TEXT,
    }
    return render_page(
        request,
        "incidents/item.html",
        context,
        title=_("Action item"),
        status=422 if error else 200,
    )


def _change(request: HttpRequest, row: ActionItem, form: ActionItemForm) -> str:
    """Change an item; return what was wrong, empty when nothing was."""
    if not form.is_valid():
        return " ".join(str(error) for each in form.errors.values() for error in each)
    try:
        action_items.change(item_id=row.pk, **form.cleaned_data, **actor(request))
    except services.UnableToAct as error:
        return str(error)
    return ""


@button("incidents.change_actionitem", on="incidents:item")
def set_item(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that an item is done, dropped, or open again."""
    row = _item(pk)
    status = request.POST.get("status", "")
    if status not in ActionItem.Status.values:
        messages.error(request, _("Choose done, dropped or open."))
        return redirect("incidents:item", pk=pk)
    action_items.set_status(item_id=pk, status=status, **actor(request))
    messages.success(request, _("Saved."))
    if request.POST.get("next") == "list":
        return redirect("incidents:followup")
    return redirect(PAGE, pk=row.incident_id)


def _item_form(request: HttpRequest) -> ActionItemForm:
    return ActionItemForm(
        {name: typed_text(request, name) for name in ("text", "owner", "due_on")}
    )


def _reader(request: HttpRequest) -> Actor:
    return people.whole(Actor(cast(User, request.user)))


def _incident(pk: int) -> Incident:
    try:
        return queries.incident(pk=pk)
    except Incident.DoesNotExist as error:
        raise Http404 from error


def _item(pk: int) -> ActionItem:
    try:
        rows: Any = ActionItem.objects.select_related("incident__service")
        return cast(ActionItem, rows.get(pk=pk))
    except ActionItem.DoesNotExist as error:
        raise Http404 from error
