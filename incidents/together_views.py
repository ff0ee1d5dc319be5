"""Buttons of the incident page with which people agree: hand over, merge, roles."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from incidents.buttons import act, act_on_form, actor, button, typed_text
from incidents.collaboration import handovers, merging, roles
from incidents.forms import AskForm, MergeForm, RoleForm


@button()
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask somebody to take over, or the one who has it to hand it over."""
    form = AskForm(
        {"to": typed_text(request, "to"), "comment": typed_text(request, "comment")}
    )
    return act_on_form(
        request,
        pk,
        form,
        lambda: handovers.ask(incident_id=pk, **form.cleaned_data, **actor(request)),
        _("Asked. It stays as it is until the answer."),
    )


@button()
def accept(request: HttpRequest, pk: int) -> HttpResponse:
    """Say yes to what one was asked."""
    return act(
        request,
        pk,
        lambda: handovers.accept(incident_id=pk, **actor(request)),
        _("Handed over."),
    )


@button()
def decline(request: HttpRequest, pk: int) -> HttpResponse:
    """Say no to what one was asked."""
    return act(
        request,
        pk,
        lambda: handovers.decline(incident_id=pk, **actor(request)),
        _("Declined. Whoever asked is told."),
    )


@button()
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask no longer."""
    return act(
        request,
        pk,
        lambda: handovers.withdraw(incident_id=pk, **actor(request)),
        _("The question is withdrawn."),
    )


@button()
def role(request: HttpRequest, pk: int) -> HttpResponse:
    """Give somebody a role, or free it."""
    form = RoleForm(request.POST)
    return act_on_form(
        request,
        pk,
        form,
        lambda: roles.give_role(incident_id=pk, **form.cleaned_data, **actor(request)),
        _("Role changed."),
    )


@button()
def merge(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the incident go on in another one, and go there."""
    form = MergeForm(request.POST)
    return act_on_form(
        request,
        pk,
        form,
        lambda: merging.merge(
            incident_id=pk, into_id=form.cleaned_data["into"], **actor(request)
        ),
        _("Merged. Its alerts are here now."),
        then=form.cleaned_data.get("into") if form.is_valid() else None,
    )
