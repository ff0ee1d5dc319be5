"""Every error as problem details (RFC 9457): what is wrong, where, and what to do."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    ObjectDoesNotExist,
    PermissionDenied,
    SuspiciousOperation,
)
from django.db import DataError, IntegrityError, OperationalError
from django.db.models import ProtectedError, RestrictedError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.response import Response

from t4g_portal.lib.access import PermissionMissing
from t4g_portal.lib.faults import ChangedMeanwhile, Fault, UnableToSave

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:t4g:problem:"
# How many mistakes one answer lists.
MAX_ERRORS = 100

Errors = Sequence[Mapping[str, str]]


class Refused(Exception):
    """A resource answers with a problem of its own choosing."""

    def __init__(
        self,
        *,
        status: int,
        slug: str,
        detail: str,
        errors: Errors = (),
        wait_s: float | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.wait = wait_s
        self.status = status
        self.slug = slug
        self.detail = detail
        self.errors = errors
        self.more = more


class ScopeMissing(Refused):
    """The key is not for this."""

    def __init__(self, scope: str) -> None:
        super().__init__(
            status=403,
            slug="scope-missing",
            detail=_("This key has no scope %(scope)s. Ask its owner for one that has.")
            % {"scope": scope},
            scope=scope,
        )


class QueryInvalid(Refused):
    """Parameters of the address make no sense; `errors` names each."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(
            status=400,
            slug="invalid-query",
            detail=_("A parameter of the address can't be used."),
            errors=[
                {"parameter": name, "detail": text} for name, text in problems.items()
            ],
        )


def body(
    *, status: int, slug: str, detail: str, errors: Errors = (), **more: Any
) -> dict[str, Any]:
    """Return the members of a problem."""
    said: dict[str, Any] = {
        "type": TYPE_PREFIX + slug,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        said["errors"] = list(errors)[:MAX_ERRORS]
    return {**said, **more}


def handle(error: Exception, context: Mapping[str, Any]) -> Response:
    """Return the answer for what a view raised: DRF's exception handler."""
    view = context.get("view")
    refused = _refusal(error, getattr(view, "conflicts", ()))
    headers = _headers(error)
    return Response(
        body(
            status=refused.status,
            slug=refused.slug,
            detail=refused.detail,
            errors=refused.errors,
            **refused.more,
        ),
        status=refused.status,
        headers=headers,
        content_type=CONTENT_TYPE,
    )


@csrf_exempt
def no_such_address(request: HttpRequest, path: str = "") -> HttpResponse:
    """Answer 404 for an address under /api/ that nothing answers to."""
    detail = _("There is nothing at this address.")
    if not request.path.endswith("/"):
        detail = _("There is nothing at this address. Ours end with a slash.")
    return JsonResponse(
        body(status=404, slug="not-found", detail=detail),
        status=404,
        content_type=CONTENT_TYPE,
    )


def _headers(error: Exception) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    challenge = getattr(error, "auth_header", None)
    if challenge:
        headers["WWW-Authenticate"] = challenge
    wait_s = getattr(error, "wait", None)
    if wait_s is not None:
        headers["Retry-After"] = str(int(wait_s))
    if isinstance(error, OperationalError):
        headers["Retry-After"] = "5"
    return headers


def _refusal(error: Exception, conflicts: tuple[type[Exception], ...]) -> Refused:
    match error:
        case Refused():
            return error
        case UnableToSave():
            return _invalid([_fault_line(fault) for fault in error.faults])
        case ChangedMeanwhile():
            return Refused(
                status=412,
                slug="changed-meanwhile",
                detail=_(
                    "Somebody has changed it since you read it. Read it again, and"
                    " decide again."
                ),
            )
        case PermissionMissing():
            return Refused(
                status=403,
                slug="permission-missing",
                detail=_("You may not do this. Ask for the permission %(name)s.")
                % {"name": error.permission},
                permission=error.permission,
            )
        case Http404() | ObjectDoesNotExist() | exceptions.NotFound():
            return Refused(
                status=404,
                slug="not-found",
                detail=_("There is no such thing. Perhaps it was deleted."),
            )
        case exceptions.APIException():
            return _of_framework(error)
        case PermissionDenied():
            return Refused(
                status=403, slug="forbidden", detail=_("You may not do this.")
            )
        case ProtectedError() | RestrictedError():
            return Refused(
                status=409,
                slug="in-use",
                detail=_("Something else still needs it: %(what)s. Remove that first.")
                % {"what": _names(error)},
            )
        case IntegrityError():
            # Two writers at once: the checks passed for both.
            logger.warning("a write through the API met a constraint: %s", error)
            return Refused(
                status=409,
                slug="conflict",
                detail=_(
                    "It contradicts what is stored by now. Read it, and try again."
                ),
            )
        case DataError():
            logger.warning(
                "a value reached the database that fits no column: %s", error
            )
            return _invalid([{"detail": _("A value is out of range.")}])
        case SuspiciousOperation():
            return Refused(
                status=400, slug="malformed", detail=_("The request can't be read.")
            )
        case OperationalError():
            logger.error("the database does not answer: %s", error)
            return Refused(
                status=503,
                slug="unavailable",
                detail=_("The database does not answer. Try again in a moment."),
            )
    if conflicts and isinstance(error, conflicts):
        return Refused(status=409, slug="refused", detail=str(error))
    logger.error("a request to the API failed", exc_info=error)
    return Refused(
        status=500,
        slug="internal",
        detail=_("The portal itself made a mistake; its log says which."),
    )


_SLUGS = {
    400: "malformed",
    401: "not-authenticated",
    403: "forbidden",
    405: "method-not-allowed",
    406: "not-acceptable",
    411: "length-required",
    413: "too-large",
    415: "unsupported-media-type",
    429: "too-many-requests",
}


def _of_framework(error: exceptions.APIException) -> Refused:
    if isinstance(error, exceptions.ValidationError):
        return _invalid(list(_flatten(error.detail, "#")))
    status = error.status_code
    detail = str(error.detail)
    if isinstance(error, exceptions.NotAuthenticated):
        detail = _("Send your key as: Authorization: Bearer t4g_…")
    elif isinstance(error, exceptions.MethodNotAllowed):
        detail = _("Nothing here answers to this method; Allow says what does.")
    elif isinstance(error, exceptions.Throttled):
        detail = _("Too many requests. Wait %(count)d s.") % {
            "count": int(getattr(error, "wait", None) or 1)
        }
    return Refused(status=status, slug=_SLUGS.get(status, "refused"), detail=detail)


def _invalid(errors: Errors) -> Refused:
    return Refused(
        status=400,
        slug="invalid",
        detail=_("The body makes no sense in some places; nothing was written."),
        errors=errors,
    )


def _fault_line(fault: Fault) -> dict[str, str]:
    parts = [fault.field]
    if fault.index is not None:
        parts.append(str(fault.index))
    if fault.inside:
        parts.append(fault.inside)
    return {
        "pointer": "#/" + "/".join(map(_escaped, parts)),
        "detail": str(fault.message),
    }


def _flatten(detail: Any, pointer: str) -> Iterator[dict[str, str]]:
    """Yield a line for each mistake, with the JSON pointer (RFC 6901) to it."""
    if isinstance(detail, Mapping):
        for name, part in detail.items():
            is_whole = name == "non_field_errors"
            yield from _flatten(
                part, pointer if is_whole else f"{pointer}/{_escaped(str(name))}"
            )
    elif isinstance(detail, list):
        for index, part in enumerate(detail):
            is_nested = isinstance(part, Mapping | list)
            yield from _flatten(part, f"{pointer}/{index}" if is_nested else pointer)
    else:
        yield {"pointer": pointer, "detail": str(detail)}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _names(error: ProtectedError | RestrictedError) -> str:
    rows: Any = getattr(error, "protected_objects", None) or getattr(
        error, "restricted_objects", ()
    )
    kinds = sorted({str(row._meta.verbose_name_plural) for row in list(rows)[:1000]})
    return ", ".join(kinds)
