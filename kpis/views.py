"""The board, the wall screen, the page of a KPI, its files, and notes."""

from __future__ import annotations

from datetime import datetime
from math import ceil
from typing import Any, cast

from csp.decorators import csp
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from kpis import exports, page, queries, services
from kpis.models import Kpi, KpiRun
from kpis.page_forms import NoteForm, ValueForm
from kpis.ranges import Reach, asked_for, offered
from kpis.showing import sentences, standing
from t4g_portal.lib import content_policies
from t4g_portal.lib.access import requires
from t4g_portal.lib.live import live_response
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.retelling import retold

# What is read across a room: so many cards at once, the next ones after a while.
WALL_COUNT = 12
WALL_TURN_S = 20
# Whoever acts on incidents looks at operations first.
_OPERATES = "incidents.change_incident"


@require_safe
@requires("kpis.view_kpi")
def board(request: HttpRequest) -> HttpResponse:
    """Every KPI of an audience, what moved or is off target first; `?live` refreshes."""
    now = timezone.now()
    audience = _audience(request)
    cards = queries.cards(audience=audience, now=now)
    looks = sorted(
        (card for card in cards if card.needs_a_look),
        key=lambda card: standing.rank(card.standing),
    )
    context: dict[str, Any] = {
        "cards": cards,
        "looks": looks,
        "headline": sentences.board_headline(cards) if cards else "",
        "look": sentences.board_look(cards),
        "audience": audience,
        "now": now,
    }
    if "live" in request.GET:
        return live_response(request, "kpis/_board.html", context)
    context |= {
        "audiences": _audiences(),
        "portal_title": f"{settings.PORTAL_NAME}: {dict(_audiences())[audience]}",
        "live_url": f"?audience={audience}&live",
        "has_others": not cards and Kpi.objects.enabled().exists(),
    }
    return render_page(request, "kpis/board.html", context, title=_("KPIs"))


@require_safe
@csp(content_policies.SCRIPTED)
@requires("kpis.view_kpi")
def wall(request: HttpRequest) -> HttpResponse:
    """The board for a screen on a wall: no chrome, large, fresh by itself.

    More cards than fit take turns, by the clock: all screens show the same.
    """
    now = timezone.now()
    audience = _audience(request)
    cards = queries.cards(audience=audience, now=now)
    screens = max(ceil(len(cards) / WALL_COUNT), 1)
    screen = int(now.timestamp() // WALL_TURN_S) % screens
    shown = cards[screen * WALL_COUNT : (screen + 1) * WALL_COUNT]
    context: dict[str, Any] = {
        "cards": shown,
        "headline": sentences.board_headline(cards) if cards else "",
        "look": sentences.board_look(cards),
        "screen": screen + 1,
        "screens": range(1, screens + 1),
        "now": now,
    }
    if "live" in request.GET:
        return live_response(request, "kpis/_wall.html", context)
    context |= {
        "audience": audience,
        "audience_name": dict(_audiences())[audience],
        "theme": "light" if request.GET.get("theme") == "light" else "dark",
        "language": get_language(),
        "portal_name": settings.PORTAL_NAME,
        "live_url": f"?audience={audience}&live",
        "every_s": WALL_TURN_S,
    }
    return render(request, "kpis/wall.html", context)


@require_safe
@requires("kpis.view_kpi")
def kpi_page(request: HttpRequest, slug: str) -> HttpResponse:
    """One KPI: how it stands and why. `?live=top`, `?live=record` are its fresh parts."""
    return _kpi_page(request, _kpi(slug), now=timezone.now())


@require_POST
@requires("kpis.view_kpi", "kpis.add_kpinote")
def note(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep a note beside the curve."""
    now = timezone.now()
    kpi = _kpi(slug)
    form = NoteForm(request.POST, now=now)
    if not form.is_valid():
        return _kpi_page(request, kpi, now=now, note_form=form)
    services.add_note(
        kpi=None if form.cleaned_data["is_for_all"] else kpi,
        at=form.cleaned_data["at"],
        text=form.cleaned_data["text"],
        user=cast(User, request.user),
        now=now,
    )
    messages.success(request, _("Your note stands beside the curve."))
    return redirect("kpis:kpi", slug=slug)


@require_POST
@requires("kpis.view_kpi", "kpis.run_kpi")
def run(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask the source at once, for somebody who waits."""
    kpi = _kpi(slug)
    try:
        done = services.run_now(
            kpi=kpi, user=cast(User, request.user), now=timezone.now()
        )
    except services.UnableToAct as error:
        messages.error(request, str(error))
        return redirect("kpis:kpi", slug=slug)
    if done.outcome == KpiRun.Outcome.OK:
        messages.success(
            request,
            ngettext(
                "%(count)d value was read.",
                "%(count)d values were read.",
                done.point_count,
            )
            % {"count": done.point_count},
        )
    else:
        messages.error(request, _("No value: %(why)s") % {"why": retold(done.message)})
    return redirect("kpis:kpi", slug=slug)


@require_POST
@requires("kpis.view_kpi", "kpis.enter_value")
def value(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep a value that somebody enters; one that is there is replaced."""
    now = timezone.now()
    kpi = _kpi(slug)
    form = ValueForm(request.POST, kpi=kpi, now=now)
    if form.is_valid():
        try:
            services.enter_value(
                kpi=kpi,
                start=form.cleaned_data["at"],
                value=form.cleaned_data["value"],
                user=cast(User, request.user),
                now=now,
            )
        except services.UnableToAct as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("The value is kept."))
            return redirect("kpis:kpi", slug=slug)
    return _kpi_page(request, kpi, now=now, value_form=form)


@require_safe
@requires("kpis.view_kpi")
def export(request: HttpRequest, slug: str, form: str) -> HttpResponse:
    """The values as a file: all of them, or those of a range."""
    make = {"csv": exports.as_csv, "json": exports.as_json}.get(form)
    if make is None:
        raise Http404
    kpi = _kpi(slug)
    reach: Reach | None = None
    if request.GET.get("range"):
        reach, _form = asked_for(
            query=request.GET,
            shape=queries.definition(kpi).shape,
            now=timezone.now(),
        )
    return make(
        kpi=kpi,
        since=reach.since if reach else None,
        until=reach.until if reach else None,
    )


def _kpi_page(
    request: HttpRequest,
    kpi: Kpi,
    *,
    now: datetime,
    note_form: NoteForm | None = None,
    value_form: ValueForm | None = None,
) -> HttpResponse:
    """Render the page; a form that was refused keeps what was typed."""
    may = request.user.has_perm
    reach, form = asked_for(
        query=request.GET, shape=queries.definition(kpi).shape, now=now
    )
    live = request.GET.get("live")
    context: dict[str, Any] = {"kpi": kpi, "now": now, "reach": reach}
    if live != "record":
        context["top"] = page.top(kpi=kpi, may=may, now=now)
        if live is not None:
            return live_response(request, "kpis/_top.html", context)
    context["record"] = page.record(kpi=kpi, reach=reach, may=may, now=now)
    asked = request.GET.copy()
    asked.pop("live", None)
    context["query"] = asked.urlencode()
    if live == "record":
        return live_response(request, "kpis/_record.html", context)
    context |= {
        "reaches": offered(kpi.grain),
        "range_form": form,
        "record_url": f"?{asked.urlencode()}&live=record",
        "note_form": note_form or NoteForm(now=now),
        "value_form": value_form
        or (ValueForm(kpi=kpi, now=now) if kpi.source.is_manual else None),
    }
    return render_page(request, "kpis/kpi.html", context, title=kpi.name)


def _kpi(slug: str) -> Kpi:
    try:
        return queries.find(slug=slug)
    except Kpi.DoesNotExist as error:
        raise Http404 from error


def _audience(request: HttpRequest) -> str:
    """Return the audience asked for, else the one that the reader belongs to."""
    asked = request.GET.get("audience", "")
    if asked in Kpi.Audience.values:
        return asked
    if request.user.has_perm(_OPERATES):
        return Kpi.Audience.OPERATIONS
    return Kpi.Audience.EXECUTIVE


def _audiences() -> list[tuple[str, str]]:
    return [
        (Kpi.Audience.EXECUTIVE, _("Executive")),
        (Kpi.Audience.OPERATIONS, _("Operations")),
        (Kpi.Audience.BOTH, _("All KPIs")),
    ]
