"""What every callback has in common: bounds, plain refusals, and a line in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import parse_qsl

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from t4g_portal.lib.rate_limit import RateLimit

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 65_536
_MAX_FIELDS = 200
# The log tells that somebody tries; it doesn't count how often.
_log_limit = RateLimit(burst=30, per_second=0.5, max_keys=1)

_P = ParamSpec("_P")
_View = Callable[Concatenate[HttpRequest, _P], HttpResponse]


class Refused(Exception):
    """What came is not taken. `reason` goes to the log and holds nothing of it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def malformed(reason: str) -> Refused:
    """Return the refusal of something that can't be read."""
    return Refused(400, reason)


def unproven(reason: str) -> Refused:
    """Return the refusal of something that nobody we know has sent."""
    return Refused(401, reason)


def callback(view: _View[_P]) -> _View[_P]:
    """Let programs POST to a view: no login, no form token; `Refused` is its answer.

    The view asks for a proof of its own, before it does anything.
    """
    return _called_by_programs(view, ["POST"])


def callback_by_get(view: _View[_P]) -> _View[_P]:
    """As `callback`, for those who report by GET. The view does no more than to listen."""
    return _called_by_programs(view, ["GET", "POST"])


def _called_by_programs(view: _View[_P], methods: list[str]) -> _View[_P]:
    @csrf_exempt
    @login_not_required
    @require_http_methods(methods)
    @wraps(view)
    def answer(
        request: HttpRequest, /, *args: _P.args, **kwargs: _P.kwargs
    ) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except Refused as refusal:
            if _log_limit.allows("all"):
                logger.warning(
                    "a call to %s was refused with %s: %s",
                    request.resolver_match.route if request.resolver_match else "",
                    refusal.status,
                    refusal,
                )
            response = HttpResponse(status=refusal.status)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return answer


def body_of(request: HttpRequest) -> bytes:
    """Return the body as it came, at most 64 KB; raises Refused."""
    try:
        body = request.read(MAX_BODY_BYTES + 1)
    except (UnreadablePostError, RawPostDataException, OSError) as error:
        raise malformed("the body can't be read") from error
    if len(body) > MAX_BODY_BYTES:
        raise Refused(413, "the body is too long")
    return bytes(body)


def form_of(body: bytes) -> dict[str, str]:
    """Read a form, each field once; raises Refused.

    A NUL is refused: no column takes it.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError as error:
        raise malformed("the body is no form") from error
    form = dict(pairs)
    if len(form) < len(pairs):
        raise malformed("a field comes twice")
    if any("\x00" in text for pair in pairs for text in pair):
        raise malformed("the form holds a NUL")
    return form
