"""Which Twilio account posted to us, and the words that Twilio passes on."""

from __future__ import annotations

import logging
from xml.sax.saxutils import escape, quoteattr

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from notifications.inbound import twilio
from notifications.inbound.receiving import body_of, form_of, unproven
from notifications.models import Provider
from t4g_portal.lib.secrets import UnableToDecrypt

logger = logging.getLogger(__name__)

_VOICES = {"fr": "fr-FR", "en": "en-US"}


def signed_form(request: HttpRequest) -> dict[str, str]:
    """Return the form that an account of ours posted; raises Refused."""
    signature = request.headers.get("X-Twilio-Signature", "")
    if not signature:
        raise unproven("it is not signed")
    form = form_of(body_of(request))
    # The address that Twilio called is the public one, whatever proxies made of it.
    url = f"{settings.PORTAL_URL}{request.get_full_path()}"
    for account in Provider.objects.filter(
        kind="twilio", is_enabled=True, account=form.get("AccountSid", "")
    ).exclude(account=""):
        try:
            token = account.secret
        except UnableToDecrypt:
            logger.error("the token of provider %s can't be read", account.pk)
            continue
        if twilio.verify(url=url, params=form, signature=signature, auth_token=token):
            return form
    raise unproven("no Twilio account of ours has signed it")


def text_message(text: str) -> HttpResponse:
    """Answer an SMS by an SMS; nothing for an empty text."""
    return _twiml(f"<Message>{escape(text)}</Message>" if text else "")


def spoken(text: str, *, language: str) -> HttpResponse:
    """Say something on the phone and hang up."""
    voice = quoteattr(_VOICES.get(language, "en-US"))
    return _twiml(f"<Say language={voice}>{escape(text)}</Say>")


def as_twiml(document: str) -> HttpResponse:
    """Answer with a document of Twilio's markup."""
    return HttpResponse(
        f'<?xml version="1.0" encoding="UTF-8"?>{document}',
        content_type="text/xml; charset=utf-8",
    )


def _twiml(verbs: str) -> HttpResponse:
    return as_twiml(f"<Response>{verbs}</Response>")
