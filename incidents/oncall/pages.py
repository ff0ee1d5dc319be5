"""The On call page and its acts: who is on call, and putting somebody else there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django import forms as django_forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from incidents.models import Absence, Override, SwapRequest
from incidents.oncall import board as boards
from incidents.oncall import hours, queries, reading, services, swapping
from incidents.oncall.acting import MAX_LENGTH, UnableToChangeCalendar
from incidents.oncall.board import Board, Turn, View
from incidents.oncall.duty import duty
from incidents.oncall.feed_views import address_of
from incidents.oncall.forms import AbsenceForm, ChangeForm, SwapForm, moment_from
from incidents.oncall.outlook import Gap
from incidents.oncall.people import contact_of
from incidents.oncall.reading import Reading
from notifications.models import Contact
from t4g_portal.lib.access import check, requires
from t4g_portal.lib.csv_files import csv_response
from t4g_portal.lib.live import live_response
from t4g_portal.lib.pages import render_page

TAKE = "incidents.take_shift"
OVERRIDE = "incidents.add_override"
ABSENCE = "incidents.add_absence"
_get_or_post = require_http_methods(["GET", "HEAD", "POST"])
# What the calendar shows at most before and after today.
_REACH = timedelta(days=366 * 5)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What part of the calendar the reader wants to see."""

    view: View
    on: date
    is_mine: bool

    def link(self, **changes: Any) -> str:
        """Return the address of the page with something else."""
        on: date = changes.get("on", self.on)
        values = {"view": changes.get("view", self.view), "on": on.isoformat()}
        if changes.get("is_mine", self.is_mine):
            values["who"] = "mine"
        return f"{reverse('oncall:page')}?{urlencode(values)}"


# --- The page -------------------------------------------------------------------------


@require_safe
@requires("incidents.view_schedule")
def on_call(request: HttpRequest) -> HttpResponse:
    """Who is on call now for what, until when, who is next; then the calendar.

    `?live` is the first answer alone.
    """
    now = timezone.now()
    me = contact_of(request)
    context: dict[str, Any] = {
        "now": now,
        "duty": duty(now=now, me=me.pk if me else None),
        "may_change": _may_change(request, me),
    }
    if "live" in request.GET:
        return live_response(request, "oncall/_now.html", context)
    asked = _asked(request, now)
    found = reading.read(
        now=now,
        me=me,
        board_period=boards.period(view=asked.view, on=asked.on, zone=_here()),
        month=hours.month(day=asked.on, zone=_home()),
        zone=_home(),
    )
    board = boards.board(
        view=asked.view,
        on=asked.on,
        lanes=found.schedules,
        turns=[turn for turn in found.turns if turn.is_mine or not asked.is_mine],
        now=now,
        zone=_here(),
    )
    context |= {
        "me": me,
        "is_mine": asked.is_mine,
        "board": board,
        "board_title": _title(board),
        "links": _links(asked, board, now),
        "schedules": found.schedules,
        "zone": str(_here()),
        "asks": found.asks,
        "asked": found.asked,
        "absences": found.absences,
        "may_remove_absences": request.user.has_perm("incidents.delete_absence"),
        "may_plan_absence": request.user.has_perm(TAKE)
        and (me is not None or request.user.has_perm(ABSENCE)),
        "feeds": _feeds(request, found, me),
        "hours": found.hours,
        "hours_month": asked.on,
        "hours_csv_url": f"{reverse('oncall:hours')}?month={asked.on:%Y-%m}",
    }
    return render_page(request, "oncall/page.html", context, title=_("On call"))


@require_safe
@requires("incidents.view_schedule")
def hours_csv(request: HttpRequest) -> HttpResponse:
    """The hours of a month (`?month=2026-11`) as CSV, by the portal's own clock."""
    now = timezone.now()
    day = _day(request.GET.get("month", "") + "-01") or _today(now, _home())
    period = hours.month(day=day, zone=_home())
    rows = reading.hours_between(period=period, now=now, zone=_home())
    return csv_response(
        name=f"on-call-hours-{day:%Y-%m}.csv",
        header=hours.CSV_HEADER,
        rows=hours.csv_rows(rows, start=period[0], end=period[1], zone=_home()),
    )


# --- Changing a shift -----------------------------------------------------------------


@_get_or_post
@requires("incidents.view_schedule", TAKE)
def change(request: HttpRequest) -> HttpResponse:
    """Put oneself on call, or somebody else; the form of a shift and of a dragged time."""
    me = contact_of(request)
    people = _people(request, me)
    if request.method == "POST":
        form = ChangeForm(request.POST, people=people, me=me)
        return _save(
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
    initial = usual | _dragged(request) | ({"contact": me.pk} if me else {})
    return _change_page(request, ChangeForm(people=people, me=me, initial=initial), me)


@_get_or_post
@requires("incidents.view_schedule", TAKE)
def ask_swap(request: HttpRequest) -> HttpResponse:
    """Ask somebody to take a shift of one's own."""
    me = contact_of(request)
    if me is None:
        raise Http404
    if request.method != "POST":
        form = SwapForm(me=me, initial=_dragged(request))
        return _form_page(request, "oncall/swap.html", form, _("Ask for a swap"))
    form = SwapForm(request.POST, me=me)
    return _save(
        request,
        form,
        lambda: swapping.ask(
            schedule_id=form.cleaned_data["schedule"].pk,
            asker_id=me.pk,
            other_id=form.cleaned_data["other"].pk,
            starts_at=form.cleaned_data["starts_at"],
            ends_at=form.cleaned_data["ends_at"],
            return_starts_at=form.cleaned_data["return_starts_at"],
            return_ends_at=form.cleaned_data["return_ends_at"],
            message=form.cleaned_data["message"],
            now=timezone.now(),
        ),
        done=lambda: (
            _("%(name)s is asked. Until they accept, it stays yours.")
            % {"name": form.cleaned_data["other"]}
        ),
        again=lambda gaps: _form_page(
            request, "oncall/swap.html", form, _("Ask for a swap"), gaps=gaps
        ),
    )


def _acting(
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


@_acting
def accept(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the shift that somebody asked for."""
    return _answer(request, pk, swapping.accept, _("The shift is yours."))


@_acting
def decline(request: HttpRequest, pk: int) -> HttpResponse:
    """Leave the shift with who asked."""
    return _answer(request, pk, swapping.decline, _("Declined. It stays theirs."))


@_acting
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Take one's own request back."""
    return _answer(request, pk, swapping.withdraw, _("Withdrawn. It stays yours."))


@_acting
def remove_override(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the rotations decide again: one's own override, or with permission any.

    When nobody would be on call then, it asks first.
    """
    override = get_object_or_404(Override, pk=pk)
    _check_own(request, override.contact_id, "incidents.delete_override")
    now = timezone.now()
    gaps = queries.gaps_if_cancelled(override_id=pk, now=now)
    if gaps and "may_leave_gaps" not in request.POST:
        context = {"gaps": gaps, "override": override, "now": now}
        return _dialog_or_page(
            request, "oncall/remove.html", context, _("Remove the override")
        )
    return _tell(
        request,
        lambda: services.cancel_override(override_id=pk, now=now),
        _("Removed. The rotations decide again."),
    )


# --- Absences -------------------------------------------------------------------------


@_get_or_post
@requires("incidents.view_schedule", TAKE)
def plan_absence(request: HttpRequest) -> HttpResponse:
    """Plan that somebody is away: oneself, or with permission anybody."""
    me = contact_of(request)
    people = _people(request, me, for_absence=True)
    title = _("Plan an absence")
    if request.method != "POST":
        initial = _dragged(request) | ({"contact": me.pk} if me else {})
        form = AbsenceForm(people=people, initial=initial)
        return _form_page(request, "oncall/absence.html", form, title)
    form = AbsenceForm(request.POST, people=people)
    return _save(
        request,
        form,
        lambda: services.plan_absence(
            contact_id=form.cleaned_data["contact"].pk,
            starts_at=form.cleaned_data["starts_at"],
            ends_at=form.cleaned_data["ends_at"],
            reason=form.cleaned_data["reason"],
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
        again=lambda gaps: _form_page(
            request, "oncall/absence.html", form, title, gaps=gaps
        ),
    )


@_acting
def remove_absence(request: HttpRequest, pk: int) -> HttpResponse:
    """Be on call again after all."""
    absence = get_object_or_404(Absence, pk=pk)
    _check_own(request, absence.contact_id, "incidents.delete_absence")
    return _tell(
        request,
        lambda: services.cancel_absence(absence_id=pk, now=timezone.now()),
        _("The absence is removed."),
    )


# --- What they share --------------------------------------------------------------------


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


def _save(
    request: HttpRequest,
    form: django_forms.Form,
    act: Callable[[], object],
    *,
    done: Callable[[], str],
    again: Callable[[Sequence[Gap]], HttpResponse],
    gaps: Callable[[], Sequence[Gap]] = tuple,
) -> HttpResponse:
    """Do what a form asks for; show it again with what is in the way of it.

    `gaps`: when nobody would be on call; that is asked about before it is done.
    """
    if not form.is_valid():
        return again(())
    opened = () if form.cleaned_data["may_leave_gaps"] else gaps()
    if opened:
        return again(opened)
    try:
        act()
    except UnableToChangeCalendar as error:
        form.add_error(None, str(error))
        return again(())
    messages.success(request, done())
    return redirect("oncall:page")


def _answer(
    request: HttpRequest, pk: int, act: Callable[..., object], done: str
) -> HttpResponse:
    me = contact_of(request)
    is_party = me is not None and (
        SwapRequest.objects.filter(pk=pk).filter(Q(asker=me) | Q(other=me)).exists()
    )
    if me is None or not is_party:
        raise Http404
    contact_id = me.pk
    return _tell(
        request,
        lambda: act(request_id=pk, contact_id=contact_id, now=timezone.now()),
        done,
    )


def _tell(request: HttpRequest, act: Callable[[], object], done: str) -> HttpResponse:
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


def _check_own(request: HttpRequest, contact_id: int, permission: str) -> None:
    """Raise PermissionMissing unless it is the reader's, or they may touch anybody's."""
    me = contact_of(request)
    if me is None or me.pk != contact_id:
        check(request, permission)


def _change_page(
    request: HttpRequest,
    form: ChangeForm,
    me: Contact | None,
) -> HttpResponse:
    """Render the form, with who has the time so far."""
    turns = _so_far(form, me)
    now = timezone.now()
    mine = [turn for turn in turns if turn.is_mine and turn.end > now]
    return _form_page(
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


def _form_page(
    request: HttpRequest,
    template: str,
    form: django_forms.Form,
    title: str,
    **context: Any,
) -> HttpResponse:
    context = {
        "form": form,
        "now": timezone.now(),
        "zone": str(_here()),
        "gaps": (),
        **context,
    }
    return _dialog_or_page(request, template, context, title)


def _dialog_or_page(
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


def _may_change(request: HttpRequest, me: Contact | None) -> bool:
    may_others = request.user.has_perm(OVERRIDE)
    return request.user.has_perm(TAKE) and (me is not None or may_others)


def _people(
    request: HttpRequest, me: Contact | None, *, for_absence: bool = False
) -> list[int]:
    """Return the contacts whom the reader may put on call, or plan to be away."""
    if request.user.has_perm(ABSENCE if for_absence else OVERRIDE):
        return list(
            Contact.objects.filter(is_enabled=True).values_list("pk", flat=True)
        )
    return [me.pk] if me else []


def _dragged(request: HttpRequest) -> dict[str, Any]:
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


def _asked(request: HttpRequest, now: datetime) -> _Asked:
    """Read what the reader wants to see; what makes no sense asks for this month."""
    today = _today(now, _here())
    on = _day(request.GET.get("on", "")) or today
    view = request.GET.get("view", "")
    return _Asked(
        view=View(view) if view in set(View) else View.MONTH,
        on=on if abs(on - today) <= _REACH else today,
        is_mine=request.GET.get("who") == "mine",
    )


def _links(asked: _Asked, board: Board, now: datetime) -> dict[str, str]:
    return {
        "before": asked.link(on=board.before),
        "after": asked.link(on=board.after),
        "today": asked.link(on=_today(now, _here())),
        "month": asked.link(view=View.MONTH),
        "week": asked.link(view=View.WEEK),
        "mine": asked.link(is_mine=True),
        "all": asked.link(is_mine=False),
    }


def _title(board: Board) -> str:
    """Say which month or week it is."""
    if board.view is View.MONTH:
        return date_format(board.first, pgettext("date", "F Y"))
    first, last = board.first, board.last
    form = pgettext("date", "j F Y")
    if first.month == last.month:
        return f"{first.day} – {date_format(last, form)}"
    return f"{date_format(first, pgettext('date', 'j F'))} – {date_format(last, form)}"


def _feeds(
    request: HttpRequest, found: Reading, me: Contact | None
) -> list[dict[str, Any]]:
    """Return the reader's own feed and those of the schedules, with or without a link."""
    personal = next((one for one in found.feeds if one.contact_id is not None), None)
    shared = {
        one.schedule_id: one for one in found.feeds if one.schedule_id is not None
    }
    may_renew = request.user.has_perm("incidents.change_schedule")
    rows = [
        {
            "label": name,
            "schedule_id": pk,
            "url": address_of(shared[pk]) if pk in shared else "",
            "may_renew": may_renew,
        }
        for pk, name in found.schedules
        if pk in shared or may_renew
    ]
    mine: dict[str, Any] = {
        "label": _("My shifts"),
        "schedule_id": "",
        "url": address_of(personal) if personal else "",
        "may_renew": True,
    }
    return [mine, *rows] if me else rows


def _here() -> tzinfo:
    """The reader's zone."""
    return timezone.get_current_timezone()


def _home() -> ZoneInfo:
    """The portal's zone, by which hours are counted."""
    return ZoneInfo(settings.TIME_ZONE)


def _today(now: datetime, zone: tzinfo) -> date:
    return now.astimezone(zone).date()


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # Months around it must exist too.
    return day if date(1970, 1, 1) < day < date(2200, 1, 1) else None
