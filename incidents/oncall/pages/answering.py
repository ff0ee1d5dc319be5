"""What the pages share: who may act, a form and its dialog, what is said after an act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from incidents.expectations import foreseeing
from incidents.oncall.acting import UnableToChangeCalendar
from incidents.oncall.forms import PeriodForm, moment_from
from incidents.oncall.outlook import Gap
from incidents.oncall.pages import zones
from incidents.oncall.people import contact_of
from t4g_portal.lib.access import check, requires
from t4g_portal.lib.pages import render_page

TAKE = "incidents.take_shift"
OVERRIDE = "incidents.add_override"
ABSENCE = "incidents.add_absence"
get_or_post = require_http_methods(["GET", "HEAD", "POST"])


def acting(
    view: Callable[[HttpRequest, int], HttpResponse],
) -> Callable[[HttpRequest, int], HttpResponse]:
    """Let a button be pressed by whoever may take shifts, and by POST alone.

    Whoever was signed out meanwhile comes back to the page that has the button.
    """
    guarded = requires("incidents.view_schedule", TAKE)(view)

    @require_POST
    @wraps(guarded)
    def answer(request: HttpRequest, pk: int) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(reverse("oncall:page"))
        return guarded(request, pk)

    return answer


def check_own(request: HttpRequest, contact_id: int, permission: str) -> None:
    """Raise PermissionMissing unless it is the reader's, or they may touch anybody's."""
    me = contact_of(request)
    if me is None or me.pk != contact_id:
        check(request, permission)


def dragged(request: HttpRequest) -> dict[str, Any]:
    """Return what an address says about a shift; what makes no sense is left out."""
    asked = request.GET
    schedule = asked.get("schedule", "")
    found: dict[str, Any] = {
        "starts_at": moment_from(asked.get("from", ""), is_end=False),
        "ends_at": moment_from(asked.get("until", ""), is_end=True),
    }
    if schedule.isdecimal() and len(schedule) < 19:
        found["schedule"] = int(schedule)
    return {name: value for name, value in found.items() if value is not None}


def form_page(
    request: HttpRequest,
    template: str,
    form: forms.Form,
    title: str,
    **context: Any,
) -> HttpResponse:
    """Answer with a form to fill in, or to mend."""
    context = {
        "form": form,
        "now": timezone.now(),
        "zone": str(zones.here()),
        "gaps": (),
        **context,
    }
    return dialog_or_page(request, template, context, title)


def dialog_or_page(
    request: HttpRequest, template: str, context: dict[str, Any], title: str
) -> HttpResponse:
    """Answer a dialog (calendar.js) with the form alone, everybody else with a page."""
    context["partial"] = template.replace("oncall/", "oncall/_form_")
    context["title"] = title
    if request.headers.get("X-Requested-With") == "dialog":
        return render(request, "oncall/_dialog.html", context)
    is_refused = request.method == "POST"
    return render_page(
        request,
        "oncall/form.html",
        context,
        title=title,
        status=422 if is_refused else 200,
    )


def save(
    request: HttpRequest,
    form: PeriodForm,
    act: Callable[[], object],
    *,
    done: Callable[[], str],
    again: Callable[[Sequence[Gap]], HttpResponse],
    gaps: Callable[[], Sequence[Gap]] = tuple,
) -> HttpResponse:
    """Do what a form asks for; show it again with what is in the way of it.

    `gaps`: when nobody would be on call. That, and what must stay true and would not,
    is asked about before it is done.
    """
    if not form.is_valid():
        return again(())
    try:
        if not form.cleaned_data["may_leave_gaps"]:
            opened = gaps()
            if opened:
                return again(opened)
            form.broken = foreseeing.broken_by(act=act, now=timezone.now())
            if form.broken:
                return again(())
        act()
    except UnableToChangeCalendar as error:
        form.add_error(None, str(error))
        return again(())
    messages.success(request, done())
    return redirect("oncall:page")


def tell(request: HttpRequest, act: Callable[[], object], done: str) -> HttpResponse:
    """Do what a button asks for, and say on the page what became of it."""
    try:
        act()
    except ObjectDoesNotExist as error:
        # Somebody else was quicker.
        raise Http404 from error
    except UnableToChangeCalendar as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    return redirect("oncall:page")
