"""Where heartbeats call. No session, no login, no form token: the key is the secret."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from monitors.heartbeats import pinging
from t4g_portal.lib.rate_limit import RateLimit

# Unknown keys are limited like known ones, so a refusal tells nothing about a key.
_limit = RateLimit(burst=pinging.BURST, per_second=pinging.PER_SECOND)


@csrf_exempt
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def ping(request: HttpRequest, ping_key: str, action: str = "") -> HttpResponse:
    """Store a ping and say OK; everything that isn't one is the same 404."""
    if not _limit.allows(ping_key):
        return _answer("Too many pings", status=429)
    signal = pinging.signal_of(action)
    if signal is None or not pinging.accept(
        ping_key=ping_key, signal=signal, body=_body(request), now=timezone.now()
    ):
        return _answer("Not found", status=404)
    return _answer("OK", status=200)


def _body(request: HttpRequest) -> bytes:
    # Django reads as much as Content-Length says, which a chunked request hasn't got.
    # Where the server marks the end of the input, that end counts.
    is_terminated = request.META.get("wsgi.input_terminated", False)
    stream = request.META["wsgi.input"] if is_terminated else request
    try:
        body: bytes = stream.read(pinging.MAX_BODY_BYTES)
    except OSError:
        # Gone in the middle of its own words: it was alive all the same.
        return b""
    return body


def _answer(text: str, *, status: int) -> HttpResponse:
    return HttpResponse(
        text,
        status=status,
        content_type="text/plain; charset=utf-8",
        headers={"Cache-Control": "no-store"},
    )
