"""Runs: which are open, how one stands, and what is done to the whole of one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import groupby
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from checklists import queries
from checklists.actors import person
from checklists.auditing.checks import seen
from checklists.models import ChecklistRun, SignOff, TemplateVersion
from checklists.page_forms import CommitForm, ReasonForm, RunForm, WindowForm
from checklists.pages.acting import VIEW, acting, load, reader_of, user_of
from checklists.services import Refused, runs, windows
from checklists.showing.lines import line_of
from checklists.showing.run_page import name_of, run_card, run_page
from checklists.showing.sheet import CHANGE_RUN
from t4g_portal.lib.access import requires
from t4g_portal.lib.live import live_response
from t4g_portal.lib.pages import render_page
from telemetry.queries import of_commit

PAGE_SIZE = 50
SIGNED_COUNT = 10
ADD_RUN = "checklists.add_checklistrun"
OPEN_WINDOW = "checklists.open_deploy_window"


@require_safe
@requires(VIEW)
def run_list(request: HttpRequest) -> HttpResponse:
    """Open runs with what blocks each, or past ones; `?live` refreshes the open ones."""
    now = timezone.now()
    is_past = "past" in request.GET
    context: dict[str, Any] = {"now": now, "is_past": is_past}
    opened = queries.open_runs(now=now)
    if not is_past:
        context["cards"] = [run_card(loaded) for loaded in opened]
        if "live" in request.GET:
            return live_response(request, "checklists/_runs.html", context)
    else:
        past = ChecklistRun.objects.exclude(state=ChecklistRun.State.OPEN)
        pager = Paginator(
            past.select_related("service").order_by("-ended_at", "-pk"), PAGE_SIZE
        ).get_page(request.GET.get("page"))
        context |= {"pager": pager, "runs": pager.object_list}
    pending = queries.pending_among(opened, user_of(request), now=now)
    context |= {"has_templates": bool(_published()), "pending_count": len(pending)}
    return render_page(request, "checklists/runs.html", context, title=_("Checklists"))


@require_http_methods(["GET", "HEAD", "POST"])
@requires(VIEW, ADD_RUN)
def new(request: HttpRequest) -> HttpResponse:
    """Open a run of a published checklist for one release."""
    versions = _published()
    form = RunForm(request.POST or None, versions=versions, initial=_asked(request))
    if request.method == "POST" and form.is_valid():
        wanted = form.cleaned_data
        try:
            run = runs.open_run(
                version=versions[wanted["template"].pk],
                service=wanted["service"],
                environment=wanted["environment"],
                git_sha=wanted["git_sha"],
                deployment=wanted["deployment"],
                title=wanted["title"],
                deadline=wanted["deadline"],
                actor=person(user_of(request)),
                now=timezone.now(),
            )
        except Refused as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(
                request, _("The run is open. Evidence is being looked for.")
            )
            return redirect("checklists:run", pk=run.pk)
    return render_page(
        request,
        "checklists/new.html",
        {"form": form},
        title=_("Open a checklist run"),
        status=422 if form.is_bound else 200,
    )


@require_safe
@requires(VIEW)
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """One run: what blocks, what waits for the reader, all items. `?live` refreshes it."""
    return _run(request, pk, now=timezone.now())


@require_safe
@requires(VIEW)
def mine(request: HttpRequest) -> HttpResponse:
    """What waits for the reader's signature, and what they signed last."""
    now = timezone.now()
    user = user_of(request)
    pending = queries.pending_for(user, now=now)
    groups = [
        {
            "run": run,
            "name": name_of(run),
            "lines": [
                line_of(
                    one.item,
                    one.standing,
                    base=reverse("checklists:run", args=[run.pk]),
                )
                for one in found
            ],
        }
        for run, found in (
            (run, list(found)) for run, found in groupby(pending, lambda one: one.run)
        )
    ]
    signed = SignOff.objects.filter(user=user).select_related("item__run")
    context = {
        "groups": groups,
        "count": len(pending),
        "signed": signed.order_by("-pk")[:SIGNED_COUNT],
        "now": now,
    }
    if "live" in request.GET:
        return live_response(request, "checklists/_mine.html", context)
    return render_page(
        request, "checklists/mine.html", context, title=_("My signatures")
    )


@acting(CHANGE_RUN)
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """End a run whose release is out."""
    reason = request.POST.get("reason", "")
    return _tell(
        request,
        pk,
        lambda now: runs.close(
            run_id=pk, reason=reason, actor=person(user_of(request)), now=now
        ),
        done=_("The run is closed. It stays as it is now."),
    )


@acting(CHANGE_RUN)
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """End a run whose release doesn't happen."""
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _run(request, pk, now=timezone.now(), forms={"cancel": form})
    return _tell(
        request,
        pk,
        lambda now: runs.cancel(
            run_id=pk,
            reason=form.cleaned_data["reason"],
            actor=person(user_of(request)),
            now=now,
        ),
        done=_("The run is cancelled."),
    )


@acting(CHANGE_RUN)
def move(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a run stand for another commit."""
    form = CommitForm(request.POST)
    if not form.is_valid():
        return _run(request, pk, now=timezone.now(), forms={"move": form})
    return _tell(
        request,
        pk,
        lambda now: runs.move_to_commit(
            run_id=pk,
            git_sha=form.cleaned_data["git_sha"],
            deployment=form.cleaned_data["deployment"] or None,
            actor=person(user_of(request)),
            now=now,
        ),
        done=_(
            "The run stands for the new commit. It is to be proven and signed anew."
        ),
    )


@acting(OPEN_WINDOW)
def window(request: HttpRequest, pk: int) -> HttpResponse:
    """Open the run's deploy window, or end it (`act=close`)."""
    who = person(user_of(request))
    if request.POST.get("act") == "close":
        return _tell(
            request,
            pk,
            lambda now: windows.close_window(run_id=pk, actor=who, now=now),
            done=_("The deploy window is over. What still fires is raised now."),
        )
    form = WindowForm(request.POST)
    if not form.is_valid():
        return _run(request, pk, now=timezone.now(), forms={"window": form})
    return _tell(
        request,
        pk,
        lambda now: windows.open_window(
            run_id=pk, actor=who, now=now, **form.cleaned_data
        ),
        done=_("Alerts of the service below P0 wait until the deploy window ends."),
    )


def _run(
    request: HttpRequest, pk: int, *, now: datetime, forms: dict[str, Any] | None = None
) -> HttpResponse:
    loaded = load(pk, now=now)
    page = run_page(loaded=loaded, reader=reader_of(request), now=now)
    context: dict[str, Any] = {
        "page": page,
        "window": windows.window_of(loaded.run, now=now),
        "deployed": of_commit(
            service_id=loaded.run.service_id,
            environment=loaded.run.environment,
            git_sha=loaded.run.git_sha,
            now=now,
        )
        if request.user.has_perm("telemetry.view_deployment")
        else None,
        "now": now,
    }
    if "live" in request.GET:
        return live_response(request, "checklists/_run.html", context)
    context |= {
        "forms": {
            "cancel": ReasonForm(),
            "move": CommitForm(),
            "window": WindowForm(initial={"reason": page.name}),
            **(forms or {}),
        },
        "opened": next(iter(forms), "") if forms else "",
        "is_ready": loaded.standing.is_ready,
        "chain": seen(),
    }
    return render_page(
        request,
        "checklists/run.html",
        context,
        title=page.name,
        status=422 if forms else 200,
    )


def _tell(
    request: HttpRequest, pk: int, act: Callable[[datetime], object], *, done: str
) -> HttpResponse:
    """Do what a button asks for, and say on the run's page what became of it."""
    now = timezone.now()
    load(pk, now=now)
    try:
        act(now)
    except Refused as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, done)
    return redirect("checklists:run", pk=pk)


def _published() -> dict[int, TemplateVersion]:
    """Return the version of each template that runs are opened of."""
    rows = (
        TemplateVersion.objects.filter(
            status=TemplateVersion.Status.PUBLISHED, template__is_enabled=True
        )
        .select_related("template")
        .order_by("template", "-number")
        .distinct("template")
    )
    return {row.template_id: row for row in rows}


def _asked(request: HttpRequest) -> dict[str, str]:
    """Return what a link asks to open a run for, such as that of a deployment."""
    names = ("git_sha", "environment", "deployment", "title")
    return {name: request.GET[name][:500] for name in names if name in request.GET}
