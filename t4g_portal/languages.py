"""Which language a page is in: the one chosen in the shell, else the browser's."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

# Read by programs and by who debugs them: English, whatever the browser would like.
_ENGLISH_PATHS = ("/api/", "/ping/", "/health", "/ready")


class PageLanguageMiddleware(LocaleMiddleware):
    """Django's own, with English for what programs read (ADR 9)."""

    def process_request(self, request: HttpRequest) -> None:
        """Activate the language of this request."""
        super().process_request(request)
        if request.path_info.startswith(_ENGLISH_PATHS):
            translation.activate(settings.LANGUAGE_CODE)
            request.LANGUAGE_CODE = settings.LANGUAGE_CODE
