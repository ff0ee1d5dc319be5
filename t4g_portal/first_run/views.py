"""The page of the first run: three steps, each of which can be left out."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from incidents.models import Service
from monitors.models import Monitor
from notifications.delivery import try_channel
from notifications.models import Channel
from notifications.services import UnableToEnqueue, usable_channels
from t4g_portal.first_run import progress, seeing
from t4g_portal.first_run.forms import TellForm, WatchForm
from t4g_portal.lib.access import requires
from t4g_portal.lib.live import live_response
from t4g_portal.lib.pages import render_page

_permitted = requires(*progress.PERMISSIONS)


@require_safe
@_permitted
def start(request: HttpRequest) -> HttpResponse:
    """The three steps; `?live` is what refreshes of the third."""
    return _page(request)


@require_POST
@_permitted
def watch(request: HttpRequest) -> HttpResponse:
    """Step one: a service and its monitor."""
    form = WatchForm(request.POST, may_allow_private=_may_allow_private(request))
    if not form.is_valid():
        return _page(request, watch_form=form)
    monitor = form.save()
    return redirect(f"{reverse('first_run:start')}?monitor={monitor.pk}#see")


@sensitive_post_parameters("destination")
@require_POST
@_permitted
def tell(request: HttpRequest) -> HttpResponse:
    """Step two: a channel, and a test message on its real road."""
    form = TellForm(request.POST)
    if not form.is_valid():
        return _page(request, tell_form=form)
    channel = form.save()
    user = request.user
    if isinstance(user, User):
        try:
            try_channel(channel=channel, now=timezone.now(), requested_by=user)
        except UnableToEnqueue as error:
            form.add_error("destination", str(error))
            return _page(request, tell_form=form)
    return redirect(f"{_here(request)}#tell")


@require_POST
@_permitted
def end(request: HttpRequest) -> HttpResponse:
    """Finish or skip: it isn't offered by itself any more."""
    user = request.user
    if isinstance(user, User):
        progress.end(
            user=user,
            is_skipped=request.POST.get("how") == "skip",
            now=timezone.now(),
        )
    return redirect("home")


def _page(
    request: HttpRequest,
    *,
    watch_form: WatchForm | None = None,
    tell_form: TellForm | None = None,
) -> HttpResponse:
    now = timezone.now()
    asked = request.GET.get("monitor", "")
    monitor = seeing.chosen_monitor(asked=asked)
    context: dict[str, Any] = {
        "now": now,
        "seen": seeing.see(monitor=monitor, now=now) if monitor is not None else None,
        "test": seeing.last_test(now=now),
        "asked": asked if asked.isdecimal() else "",
    }
    if "live" in request.GET:
        return live_response(request, "first_run/_see.html", context)
    context |= {
        "watch_form": watch_form
        or WatchForm(may_allow_private=_may_allow_private(request)),
        "tell_form": tell_form or TellForm(),
        "monitor_count": Monitor.objects.filter(is_enabled=True).count(),
        "services": Service.objects.order_by("position", "name")[:50],
        "channel_count": usable_channels(Channel.objects.all()).count(),
        "is_offered": progress.is_offered(user=request.user),
        "is_demo": settings.PORTAL_DEMO,
        "has_mail_host": bool(settings.EMAIL_HOST),
    }
    is_wrong = watch_form is not None or tell_form is not None
    return render_page(
        request,
        "first_run/start.html",
        context,
        title=_("First steps"),
        status=422 if is_wrong else 200,
    )


def _here(request: HttpRequest) -> str:
    asked = request.GET.get("monitor", "")
    query = f"?monitor={asked}" if asked.isdecimal() else ""
    return reverse("first_run:start") + query


def _may_allow_private(request: HttpRequest) -> bool:
    return request.user.has_perm("monitors.use_private_targets")
