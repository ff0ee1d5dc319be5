"""The pages of drills: what was proved last, starting one, and its report to sign."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import (
    conditional_page,
    require_POST,
    require_safe,
)

from monitors.drills import pages, running
from monitors.drills.forms import StartForm
from monitors.models import Drill
from t4g_portal.lib.access import requires
from t4g_portal.lib.live import live_response
from t4g_portal.lib.pages import render_page


@require_safe
@requires("monitors.view_drill")
def drill_list(request: HttpRequest) -> HttpResponse:
    """What was proved last, a form to prove it again, plans, and past drills."""
    return _list(request, StartForm(initial={"monitor": request.GET.get("monitor")}))


@require_POST
@requires("monitors.run_drill")
def start(request: HttpRequest) -> HttpResponse:
    """Start a drill and show it."""
    form = StartForm(request.POST)
    if not form.is_valid():
        return _list(request, form, status=422)
    chosen = form.cleaned_data
    try:
        drill = running.start(
            monitor=chosen["monitor"],
            priority=chosen["priority"],
            policy=chosen["policy"],
            length=timedelta(minutes=chosen["minutes"]),
            user=cast(User, request.user),
            now=timezone.now(),
        )
    except running.UnableToStart as error:
        form.add_error(None, str(error))
        return _list(request, form, status=409)
    return redirect("drills:detail", pk=drill.pk)


@require_safe
@requires("monitors.view_drill")
@conditional_page
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """The report of one drill; `?live` is the part that changes."""
    drill = _drill(pk)
    context = {
        "drill": drill,
        "report": pages.live_report(drill),
        "now": timezone.now(),
        "max_remark": running.MAX_REMARK,
    }
    if "live" in request.GET:
        return live_response(request, "drills/_report.html", context)
    return render_page(
        request,
        "drills/detail.html",
        context,
        title=_("Drill #%(number)d") % {"number": drill.pk},
    )


@require_POST
@requires("monitors.run_drill")
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """End a drill before its time."""
    try:
        running.stop(drill_id=_drill(pk).pk, now=timezone.now())
    except running.UnableToStop as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The drill is stopped. It proves nothing."))
    return redirect("drills:detail", pk=pk)


@require_POST
@requires("monitors.change_drill")
def sign(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign the report of a drill that has ended."""
    remark = request.POST.get("remark", "")
    try:
        running.sign(
            drill_id=_drill(pk).pk,
            user=cast(User, request.user),
            remark=remark,
            now=timezone.now(),
        )
    except running.UnableToSign as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Signed. The report stays as it is now."))
    return redirect("drills:detail", pk=pk)


def _list(request: HttpRequest, form: StartForm, *, status: int = 200) -> HttpResponse:
    now = timezone.now()
    proof = pages.latest_proof()
    context = {
        "form": form,
        "proof": proof,
        "proof_report": pages.kept_report(proof) if proof else None,
        "drills": pages.recent(),
        "plans": pages.plan_lines(now=now),
        "now": now,
    }
    return render_page(
        request, "drills/list.html", context, title=_("Drills"), status=status
    )


def _drill(pk: int) -> Drill:
    try:
        return pages.one(pk=pk)
    except Drill.DoesNotExist as error:
        raise Http404 from error
