"""Who may do what: a page asks for a permission, and says so when it is missing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import resolve, reverse

_P = ParamSpec("_P")


class PermissionMissing(PermissionDenied):
    """Somebody is signed in but lacks a permission; the 403 page names it."""

    def __init__(self, permission: str) -> None:
        super().__init__(permission)
        self.permission = permission


def requires(
    *permissions: str,
) -> Callable[
    [Callable[Concatenate[HttpRequest, _P], HttpResponse]],
    Callable[Concatenate[HttpRequest, _P], HttpResponse],
]:
    """Let a function view answer only people with all `permissions` ("app.codename").

    Who isn't signed in is sent to the login page; who lacks one gets 403, with the name
    of what to ask for. The names stay on the view as `required_permissions`, for the
    test that walks every address with every role.

    It stands outside of `conditional_page`, so that a remembered ETag opens nothing.
    """

    def decorate(
        view: Callable[Concatenate[HttpRequest, _P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, _P], HttpResponse]:
        @wraps(view)
        def guarded(
            request: HttpRequest, /, *args: _P.args, **kwargs: _P.kwargs
        ) -> HttpResponse:
            for permission in permissions:
                check(request, permission)
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            return view(request, *args, **kwargs)

        guarded.required_permissions = permissions  # type: ignore[attr-defined]
        return guarded

    return decorate


def check(request: HttpRequest, permission: str) -> None:
    """Raise PermissionMissing when somebody signed in lacks `permission`."""
    user = request.user
    if user.is_authenticated and not user.has_perm(permission):
        raise PermissionMissing(permission)


def may_open(request: HttpRequest, name: str) -> bool:
    """Whether somebody may open the page of this name, which takes no arguments.

    No page shows a link that leads to a refusal.
    """
    view = resolve(reverse(name)).func
    return request.user.has_perms(getattr(view, "required_permissions", ()))
