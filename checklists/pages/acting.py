"""What the pages share: who reads, who acts, and that it is really them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, cast

from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from checklists import queries
from checklists.facts import PersonFacts
from checklists.models import ChecklistRun
from checklists.queries import LoadedRun
from t4g_portal.lib import reauthentication
from t4g_portal.lib.access import requires
from t4g_portal.lib.reauthentication import Proof

VIEW = "checklists.view_checklistrun"


def acting(
    *permissions: str,
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Let an act on a run be done by POST, by whoever may.

    Whoever was signed out meanwhile comes back to the run's page, where the button is.
    """

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        guarded = requires(VIEW, *permissions)(view)

        @require_POST
        @sensitive_post_parameters("password")
        @wraps(guarded)
        def answer(request: HttpRequest, pk: int, **rest: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(reverse("checklists:run", args=[pk]))
            return guarded(request, pk=pk, **rest)

        return answer

    return decorate


def load(pk: int, *, now: datetime) -> LoadedRun:
    """Return a run with how it stands, or answer 404."""
    try:
        return queries.load_run(pk, now=now)
    except ChecklistRun.DoesNotExist as error:
        raise Http404 from error


def user_of(request: HttpRequest) -> User:
    """Return who is signed in."""
    return cast(User, request.user)


def reader_of(request: HttpRequest) -> PersonFacts:
    """Return what the reader may do, by the rules that signatures are judged by."""
    user = user_of(request)
    return queries.person_facts([user.pk])[user.pk]


def proof(request: HttpRequest, now: datetime) -> Proof:
    """Return that the reader has shown who they are, by the password sent along if need be.

    Raises UnableToConfirm.
    """
    found = reauthentication.proof_of(request, now)
    if found is not None:
        return found
    return reauthentication.confirm(request, request.POST.get("password", ""), now)
