"""Planning that somebody is away."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _

from incidents.models import Absence
from incidents.oncall import queries, services
from incidents.oncall.forms import AbsenceForm
from incidents.oncall.pages.answering import (
    ABSENCE,
    TAKE,
    acting,
    check_own,
    dragged,
    form_page,
    get_or_post,
    save,
    tell,
)
from incidents.oncall.people import choosable, contact_of
from t4g_portal.lib.access import requires


@get_or_post
@requires("incidents.view_schedule", TAKE)
def plan_absence(request: HttpRequest) -> HttpResponse:
    """Plan that somebody is away: oneself, or with permission anybody."""
    me = contact_of(request)
    people = choosable(request, me, permission=ABSENCE)
    title = _("Plan an absence")
    if request.method != "POST":
        initial = dragged(request) | ({"contact": me.pk} if me else {})
        form = AbsenceForm(people=people, initial=initial)
        return form_page(request, "oncall/absence.html", form, title)
    form = AbsenceForm(request.POST, people=people)
    return save(
        request,
        form,
        lambda: services.plan_absence(
            contact_id=form.cleaned_data["contact"].pk,
            starts_at=form.cleaned_data["starts_at"],
            ends_at=form.cleaned_data["ends_at"],
            reason=form.cleaned_data["reason"],
            may_leave_gap=form.cleaned_data["may_leave_gaps"],
            now=timezone.now(),
        ),
        gaps=lambda: queries.gaps_if_absent(
            contact_id=form.cleaned_data["contact"].pk,
            starts_at=form.cleaned_data["starts_at"],
            ends_at=form.cleaned_data["ends_at"],
            now=timezone.now(),
        ),
        done=lambda: (
            _("%(name)s is away then. The next of the rotation stands in.")
            % {"name": form.cleaned_data["contact"]}
        ),
        again=lambda gaps: form_page(
            request, "oncall/absence.html", form, title, gaps=gaps
        ),
    )


@acting
def remove_absence(request: HttpRequest, pk: int) -> HttpResponse:
    """Be on call again after all."""
    absence = get_object_or_404(Absence, pk=pk)
    check_own(request, absence.contact_id, "incidents.delete_absence")
    return tell(
        request,
        lambda: services.cancel_absence(absence_id=pk, now=timezone.now()),
        _("The absence is removed."),
    )
