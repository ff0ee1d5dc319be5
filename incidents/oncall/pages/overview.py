"""The On call page: who is on call now, the calendar, the hours of a month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_safe

from incidents.oncall import board as boards
from incidents.oncall import hours, reading
from incidents.oncall.board import Board, View
from incidents.oncall.duty import duty
from incidents.oncall.feed_views import address_of
from incidents.oncall.pages import zones
from incidents.oncall.pages.answering import ABSENCE, OVERRIDE, TAKE
from incidents.oncall.people import contact_of
from incidents.oncall.reading import Reading
from notifications.models import Contact
from t4g_portal.lib.access import requires
from t4g_portal.lib.csv_files import csv_response
from t4g_portal.lib.live import live_response
from t4g_portal.lib.pages import render_page

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
        board_period=boards.period(view=asked.view, on=asked.on, zone=zones.here()),
        month=hours.month(day=asked.on, zone=zones.home()),
        zone=zones.home(),
    )
    board = boards.board(
        view=asked.view,
        on=asked.on,
        lanes=found.schedules,
        turns=[turn for turn in found.turns if turn.is_mine or not asked.is_mine],
        now=now,
        zone=zones.here(),
    )
    context |= {
        "me": me,
        "is_mine": asked.is_mine,
        "board": board,
        "board_title": _title(board),
        "links": _links(asked, board, now),
        "schedules": found.schedules,
        "zone": str(zones.here()),
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
    day = zones.day(request.GET.get("month", "") + "-01") or zones.today(
        now, zones.home()
    )
    period = hours.month(day=day, zone=zones.home())
    rows = reading.hours_between(period=period, now=now, zone=zones.home())
    return csv_response(
        name=f"on-call-hours-{day:%Y-%m}.csv",
        header=hours.CSV_HEADER,
        rows=hours.csv_rows(rows, start=period[0], end=period[1], zone=zones.home()),
    )


def _may_change(request: HttpRequest, me: Contact | None) -> bool:
    may_others = request.user.has_perm(OVERRIDE)
    return request.user.has_perm(TAKE) and (me is not None or may_others)


def _asked(request: HttpRequest, now: datetime) -> _Asked:
    """Read what the reader wants to see; what makes no sense asks for this month."""
    today = zones.today(now, zones.here())
    on = zones.day(request.GET.get("on", "")) or today
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
        "today": asked.link(on=zones.today(now, zones.here())),
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
