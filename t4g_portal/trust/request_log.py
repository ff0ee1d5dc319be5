"""A line for each request, and its id on every line that is written meanwhile.

django-structlog's own middleware would look up who is signed in for every address, a
query that public pages and pings don't need, and log addresses with their queries.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase

logger = logging.getLogger(__name__)

_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
# Asked all the time by machines, and seldom of interest when it went well.
_QUIET = ("/ping/", "/health", "/ready", "/static/", "/csp-report")


def request_log_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Bind the request's id, answer with it, and say how the request went."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        began_at = time.perf_counter()
        request_id = _request_id(request)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            response = get_response(request)
            level = _level(request, response.status_code)
            if logger.isEnabledFor(level):
                took_ms = (time.perf_counter() - began_at) * 1000
                _log(level, request, response, took_ms)
            response.headers["X-Request-ID"] = request_id
            return response
        finally:
            structlog.contextvars.clear_contextvars()

    return answer


def _request_id(request: HttpRequest) -> str:
    """Return the id that a proxy gave, if it is one; else a new one."""
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    return given if _WELL_FORMED.fullmatch(given) else uuid.uuid4().hex


def _level(request: HttpRequest, status: int) -> int:
    if status >= 500:
        return logging.WARNING
    is_quiet = status == 304 or "live" in request.GET or _is_quiet(request.path_info)
    return logging.DEBUG if is_quiet else logging.INFO


def _is_quiet(path: str) -> bool:
    return path.startswith(_QUIET)


def _log(
    level: int, request: HttpRequest, response: HttpResponseBase, took_ms: float
) -> None:
    values: dict[str, Any] = {
        "method": request.method,
        "path": request.path_info,
        "status": response.status_code,
        "ms": round(took_ms, 1),
    }
    # Only who was looked up anyway: the log asks the database nothing.
    user = getattr(request, "_cached_user", None)
    if user is not None and user.pk is not None:
        values["user_id"] = user.pk
    if request.resolver_match is not None:
        values["view"] = request.resolver_match.view_name
        values.update(
            {
                name: value
                for name, value in request.resolver_match.kwargs.items()
                if isinstance(value, int)
            }
        )
    structlog.stdlib.get_logger(__name__).log(level, "request", **values)
