"""How every public address answers: anybody, any proxy, no cookie.

The content policy is that of every answer outside of the shell: no script at all.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import translation
from django.utils.http import http_date
from django.utils.translation import get_supported_language_variant
from django.utils.translation.trans_real import parse_accept_lang_header
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import conditional_page, require_safe

_P = ParamSpec("_P")
_View = Callable[Concatenate[HttpRequest, _P], HttpResponse]


def asked_language(request: HttpRequest) -> str:
    """Return the language that the address asks for; empty: none that we speak."""
    asked = request.GET.get("lang", "")
    return asked if asked in dict(settings.LANGUAGES) else ""


def language_of(request: HttpRequest, *, is_page: bool) -> str:
    """Return what `?lang=` asks for, else the browser's for a page, else the portal's.

    No cookie decides, so that one copy serves everybody who asks for the same; what
    programs read stays in one language whoever fetches it.
    """
    asked = asked_language(request)
    if asked:
        return asked
    if not is_page:
        return str(settings.PORTAL_LANGUAGE)
    header = request.headers.get("Accept-Language", "")
    for code, _priority in parse_accept_lang_header(header):
        try:
            return get_supported_language_variant(code)
        except LookupError:
            continue
    return settings.LANGUAGE_CODE


def public(*, cache_s: int, is_page: bool = False) -> Callable[[_View[_P]], _View[_P]]:
    """Let a view answer anybody, unless this portal shows nothing in public.

    Its answer may be kept `cache_s` seconds by everybody, is sent again only when it
    changed, and comes compressed: it holds no secret. Other sites may read it, except
    a page.
    """

    def decorate(view: _View[_P]) -> _View[_P]:
        @require_safe
        @gzip_page
        @conditional_page
        @wraps(view)
        def answer(
            request: HttpRequest, /, *args: _P.args, **kwargs: _P.kwargs
        ) -> HttpResponse:
            if not settings.PORTAL_PUBLIC_STATUS:
                raise Http404
            language = language_of(request, is_page=is_page)
            with translation.override(language):
                response = view(request, *args, **kwargs)
            response["Content-Language"] = language
            response["Cache-Control"] = f"public, max-age={cache_s}"
            if not is_page:
                response["Access-Control-Allow-Origin"] = "*"
            return response

        return answer

    return decorate


def kept(
    view: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Let one answer in each language serve everybody for `STATUS_PAGE_KEPT_S`.

    Most people read the status page when most is broken: it must not break the rest.
    """

    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        if not settings.STATUS_PAGE_KEPT_S:
            return view(request)
        asked = asked_language(request)
        key = f"public:{view.__name__}:{translation.get_language()}:{asked}"
        known = cache.get(key)
        if known is None:
            response = view(request)
            known = (response.content, dict(response.headers))
            cache.set(key, known, settings.STATUS_PAGE_KEPT_S)
        content, headers = known
        return HttpResponse(content, headers=headers)

    return answer


def set_last_modified(response: HttpResponse, moment: datetime) -> None:
    """Say when what is answered was last another."""
    response["Last-Modified"] = http_date(moment.timestamp())
