"""Buttons of the pages: pressed by POST, by whoever may; each makes one service call."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from incidents import services
from incidents.models import Incident, IncidentEvent
from t4g_portal.lib.access import requires

DETAIL = "incidents:detail"

View = Callable[[HttpRequest, int], HttpResponse]


def button(
    permission: str = "incidents.change_incident", *, on: str = DETAIL
) -> Callable[[View], View]:
    """Let a view be pressed by whoever has `permission`, and by POST alone.

    `on`: the page that has the button; whoever was signed out meanwhile comes back
    to it.
    """

    def decorate(view: View) -> View:
        guarded = requires(permission)(view)

        @require_POST
        @wraps(guarded)
        def answer(request: HttpRequest, pk: int) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(reverse(on, args=[pk]))
            return guarded(request, pk)

        return answer

    return decorate


def act(
    request: HttpRequest,
    pk: int,
    do: Callable[[], object],
    done: str,
    *,
    to: str = DETAIL,
    then: int | None = None,
) -> HttpResponse:
    """Make the call, say `done` or why not, and go back to the page `to`.

    `then`: the row whose page comes after it was done, if it is another one.
    """
    try:
        do()
    except Incident.DoesNotExist as error:
        raise Http404 from error
    except services.UnableToAct as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
        return redirect(to, pk=then or pk)
    return redirect(to, pk=pk)


def act_on_form(
    request: HttpRequest,
    pk: int,
    form: forms.Form,
    do: Callable[[], object],
    done: str,
    *,
    to: str = DETAIL,
    then: int | None = None,
) -> HttpResponse:
    """Make the call when the form makes sense; otherwise say what does not."""
    if form.is_valid():
        return act(request, pk, do, done, to=to, then=then)
    if not Incident.objects.filter(pk=pk).exists():
        raise Http404
    for errors in form.errors.values():
        for error in errors:
            messages.error(request, str(error))
    return redirect(to, pk=pk)


def actor(request: HttpRequest) -> dict[str, Any]:
    """Return who acts, how and when, as the services ask for it."""
    return {
        "user": cast(User, request.user),
        "via": IncidentEvent.Via.WEB,
        "now": timezone.now(),
    }


def typed_text(request: HttpRequest, name: str) -> str:
    """Return a text without NUL, which no column and no form takes."""
    return request.POST.get(name, "").replace("\x00", "")
