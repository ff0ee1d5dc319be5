"""What is answered when a page can't be: 400, 403, 404 and 500, in words.

Whoever is signed in stays in the shell; everybody else, and whoever meets a fault of
ours, gets a page that needs no database. Below /api/ it is a problem document.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from incidents import people
from t4g_portal.lib.access import PermissionMissing
from t4g_portal.lib.api import problems
from t4g_portal.lib.pages import render_page

logger = logging.getLogger(__name__)

# So many are named whom one can ask.
_MAX_NAMED = 3
_PLAIN = "The portal has a fault. It is noted. Try again in a minute."
_MAY: dict[str, Any] = {
    "view": gettext_lazy("look at %(things)s"),
    "add": gettext_lazy("add %(things)s"),
    "change": gettext_lazy("change %(things)s"),
    "delete": gettext_lazy("delete %(things)s"),
}


@dataclass(frozen=True, slots=True)
class _Words:
    """What an error page says."""

    status: int
    slug: str
    title: str
    text: str
    hints: Sequence[str] = ()


def bad_request(
    request: HttpRequest, exception: Exception | None = None
) -> HttpResponse:
    """Answer 400: what was sent makes no sense."""
    return _answer(
        request,
        _Words(
            status=400,
            slug="bad-request",
            title=_("This request can't be read"),
            text=_(
                "Something in its address or its form is broken. Go back, reload the"
                " page, and send it again."
            ),
        ),
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403: say which permission is missing, who has it, and whom to ask."""
    if not isinstance(exception, PermissionMissing):
        return _answer(request, _forbidden())
    return _answer(request, lambda: _missing(exception.permission))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404: nothing is there, or nothing that one may know of."""
    return _answer(
        request,
        _Words(
            status=404,
            slug="not-found",
            title=_("Nothing is here"),
            text=_("The address is misspelt, or what stood here was deleted."),
        ),
    )


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403: a form that isn't ours, or was open for too long."""
    return _answer(
        request,
        _Words(
            status=403,
            slug="csrf-failed",
            title=_("This form is too old"),
            text=_(
                "It was open while you signed in anew, or your browser keeps no cookies."
                " Go back, copy what you typed, reload the page, and send it again."
            ),
        ),
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500: a fault of ours. Asks no database, which may be what is broken."""
    words = _Words(
        status=500,
        slug="internal-error",
        title=_("The portal has a fault"),
        text=_("It is noted. Try again in a minute; what you sent may not be saved."),
        hints=_for_the_log(),
    )
    if _is_api(request):
        return _as_problem(words)
    try:
        return _small(words)
    except Exception:
        logger.exception("the page of an error can't be rendered")
        return HttpResponse(_PLAIN, content_type="text/plain", status=500)


def _answer(request: HttpRequest, found: _Words | Callable[[], _Words]) -> HttpResponse:
    try:
        words = found if isinstance(found, _Words) else found()
        if _is_api(request):
            return _as_problem(words)
        if _is_signed_in(request):
            return render_page(
                request,
                "errors/shell.html",
                {"words": words},
                title=words.title,
                status=words.status,
            )
    except DatabaseError:
        logger.exception("the page of an error goes without the database")
        words = found if isinstance(found, _Words) else _forbidden()
    return _small(words, is_signed_out=not _has_session(request))


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def _is_signed_in(request: HttpRequest) -> bool:
    # What fails before the sessions are read has no user.
    user = getattr(request, "user", None)
    return user is not None and user.is_authenticated


def _has_session(request: HttpRequest) -> bool:
    return settings.SESSION_COOKIE_NAME in request.COOKIES


def _as_problem(words: _Words) -> HttpResponse:
    body = problems.body(status=words.status, slug=words.slug, detail=words.text)
    return JsonResponse(body, status=words.status, content_type=problems.CONTENT_TYPE)


def _small(words: _Words, *, is_signed_out: bool = False) -> HttpResponse:
    context = {
        "words": words,
        "language": get_language() or settings.LANGUAGE_CODE,
        "portal_name": settings.PORTAL_NAME,
        "is_signed_out": is_signed_out,
        "has_status_page": settings.PORTAL_PUBLIC_STATUS,
    }
    return HttpResponse(
        render_to_string("errors/small.html", context), status=words.status
    )


def _for_the_log() -> list[str]:
    """Return the number under which the log has the fault, where it has one."""
    number = structlog.contextvars.get_contextvars().get("request_id")
    if not number:
        return []
    return [_("For the log: %(number)s") % {"number": number}]


def _forbidden() -> _Words:
    return _Words(
        status=403,
        slug="forbidden",
        title=_("You may not do this"),
        text=_("Your role does not allow it. Ask an administrator."),
    )


def _missing(permission: str) -> _Words:
    """Name a permission ("app.codename") in words; three queries."""
    app_label, _dot, codename = permission.partition(".")
    hints = []
    roles = Group.objects.filter(
        permissions__codename=codename, permissions__content_type__app_label=app_label
    ).order_by("name")
    names = list(roles.values_list("name", flat=True))
    if names:
        hints.append(_("Roles that have it: %(names)s.") % {"names": ", ".join(names)})
    givers = get_user_model().objects.filter(is_superuser=True, is_active=True)
    asked = [people.name(user=user) for user in givers.order_by("pk")[:_MAX_NAMED]]
    if asked:
        hints.append(_("Who can give it: %(names)s.") % {"names": ", ".join(asked)})
    return _Words(
        status=403,
        slug="permission-missing",
        title=_("You may not do this"),
        text=_("It takes the permission to %(act)s.")
        % {"act": permission_words(permission)},
        hints=hints,
    )


def permission_words(permission: str) -> str:
    """Say a permission ("app.codename") so that it can be asked for: "look at monitors".

    One that no model knows is said as it is written.
    """
    app_label, _dot, codename = permission.partition(".")
    verb, _underscore, model_name = codename.partition("_")
    for model in apps.get_models():
        meta = model._meta
        if meta.app_label != app_label:
            continue
        if verb in _MAY and meta.model_name == model_name:
            return str(_MAY[verb]) % {"things": meta.verbose_name_plural}
        for own, label in meta.permissions:
            if own == codename:
                return f"“{label}”"
    return permission
