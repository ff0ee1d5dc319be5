"""Changing a shift: oneself or somebody else on call, and back to the rotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from incidents.expectations import foreseeing
from incidents.models import Override
from incidents.oncall import queries, reading, services
from incidents.oncall.acting import MAX_LENGTH, UnableToChangeCalendar
from incidents.oncall.board import Turn
from incidents.oncall.forms import ChangeForm
from incidents.oncall.pages.answering import (
    OVERRIDE,
    TAKE,
    acting,
    check_own,
    dialog_or_page,
    dragged,
    form_page,
    get_or_post,
    save,
    tell,
)
from incidents.oncall.people import choosable, contact_of
from notifications.models import Contact
from t4g_portal.lib.access import requires


@get_or_post
@requires("incidents.view_schedule", TAKE)
def change(request: HttpRequest) -> HttpResponse:
    """Put oneself on call, or somebody else; the form of a shift and of a dragged time."""
    me = contact_of(request)
    people = choosable(request, me, permission=OVERRIDE)
    if request.method == "POST":
        form = ChangeForm(request.POST, people=people, me=me)
        return save(
            request,
            form,
            lambda: _put_on_call(request, form.cleaned_data, me),
            done=lambda: (
                _("%(name)s is on call then.") % {"name": form.cleaned_data["contact"]}
            ),
            again=lambda gaps: _change_page(request, form, me),
        )
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) + timedelta(
        hours=1
    )
    usual = {"starts_at": hour, "ends_at": hour + timedelta(days=1)}
    initial = usual | dragged(request) | ({"contact": me.pk} if me else {})
    return _change_page(request, ChangeForm(people=people, me=me, initial=initial), me)


@acting
def remove_override(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the rotations decide again: one's own override, or with permission any.

    When nobody would be on call then, or less would be true than must, it asks first.
    """
    override = get_object_or_404(Override, pk=pk)
    check_own(request, override.contact_id, "incidents.delete_override")
    now = timezone.now()
    may_leave_gap = "may_leave_gaps" in request.POST
    if not may_leave_gap:
        context = {
            "gaps": queries.gaps_if_cancelled(override_id=pk, now=now),
            "broken": _broken_without(pk, now),
            "override": override,
            "now": now,
        }
        if context["gaps"] or context["broken"]:
            return dialog_or_page(
                request, "oncall/remove.html", context, _("Remove the override")
            )
    return tell(
        request,
        lambda: services.cancel_override(
            override_id=pk, now=now, may_leave_gap=may_leave_gap
        ),
        _("Removed. The rotations decide again."),
    )


def _broken_without(override_id: int, now: datetime) -> list[str]:
    """Say what would no longer be true; nothing of an act that is refused anyway."""
    try:
        return foreseeing.broken_by(
            act=lambda: services.cancel_override(
                override_id=override_id, now=now, may_leave_gap=True
            ),
            now=now,
        )
    except (UnableToChangeCalendar, ObjectDoesNotExist):
        return []


def _put_on_call(
    request: HttpRequest, values: Mapping[str, Any], me: Contact | None
) -> Override:
    """Take the time for oneself, or put somebody else there."""
    contact: Contact = values["contact"]
    act = services.take if contact == me else services.override
    return act(
        schedule_id=values["schedule"].pk,
        contact_id=contact.pk,
        starts_at=values["starts_at"],
        ends_at=values["ends_at"],
        reason=values["reason"],
        user=cast(User, request.user),
        now=timezone.now(),
    )


def _change_page(
    request: HttpRequest,
    form: ChangeForm,
    me: Contact | None,
) -> HttpResponse:
    """Render the form, with who has the time so far."""
    turns = _so_far(form, me)
    now = timezone.now()
    mine = [turn for turn in turns if turn.is_mine and turn.end > now]
    return form_page(
        request,
        "oncall/change.html",
        form,
        _("Change a shift"),
        turns=turns,
        # All of it is the reader's: somebody else can be asked.
        swap_url=_swap_url(turns) if mine and len(mine) == len(turns) else "",
        removable=_removable(request, turns, me),
    )


def _swap_url(turns: Sequence[Turn]) -> str:
    """Return where to ask somebody to take this time."""
    asked = {
        "schedule": turns[0].schedule_id,
        "from": turns[0].start.isoformat(),
        "until": turns[-1].end.isoformat(),
    }
    return f"{reverse('oncall:swap')}?{urlencode(asked)}"


def _so_far(form: ChangeForm, me: Contact | None) -> list[Turn]:
    if form.is_bound:
        values = getattr(form, "cleaned_data", {})
        schedule = values.get("schedule")
        schedule_id = schedule.pk if schedule else None
    else:
        values, schedule_id = form.initial, form.initial.get("schedule")
    start, end = values.get("starts_at"), values.get("ends_at")
    if not (schedule_id and start and end) or end <= start:
        return []
    if end - start > MAX_LENGTH:
        return []
    return reading.turns_between(
        schedule_id=schedule_id, start=start, end=end, me=me.pk if me else None
    )


def _removable(
    request: HttpRequest, turns: Sequence[Turn], me: Contact | None
) -> list[Turn]:
    """Return the turns that stem from an override that the reader may remove."""
    may_any = request.user.has_perm("incidents.delete_override")
    covers = [turn for turn in turns if turn.override_id is not None]
    return [turn for turn in covers if may_any or turn.is_mine]
