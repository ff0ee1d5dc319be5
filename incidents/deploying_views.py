"""The page of a deploy window, and the button that closes it."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import conditional_page, require_safe

from incidents import deploy_windows, deploying_queries
from incidents.buttons import button
from incidents.models import DeployWindow
from incidents.people import Actor
from t4g_portal.lib.access import requires
from t4g_portal.lib.pages import render_page

PAGE = "incidents:window"


@require_safe
@requires("incidents.view_deploywindow")
@conditional_page
def window(request: HttpRequest, pk: int) -> HttpResponse:
    """What waits, for how long, and what became of it; `?live` is that alone."""
    now = timezone.now()
    try:
        page = deploying_queries.window_page(pk=pk, now=now)
    except DeployWindow.DoesNotExist as error:
        raise Http404 from error
    context = {"page": page, "now": now}
    if "live" in request.GET:
        return render(request, "incidents/_window.html", context)
    title = _("Deploy window of %(service)s") % {"service": page.window.service.name}
    return render_page(request, "incidents/window.html", context, title=title)


@button("incidents.change_deploywindow", on=PAGE)
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """End the window before its time."""
    try:
        deploy_windows.close_window(
            window_id=pk, actor=Actor(cast(User, request.user)), now=timezone.now()
        )
    except DeployWindow.DoesNotExist as error:
        raise Http404 from error
    except deploy_windows.UnableToClose as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request, _("Closed. What still fires is raised within seconds.")
        )
    return redirect(PAGE, pk=pk)
