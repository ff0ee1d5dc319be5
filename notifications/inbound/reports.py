"""`/hooks/twilio/status` and `/hooks/ovh/<token>`: what became of a message."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from notifications import receipts
from notifications.inbound import twilio_app
from notifications.inbound.receiving import (
    body_of,
    callback,
    callback_by_get,
    form_of,
    malformed,
    unproven,
)
from notifications.models import Provider
from notifications.transports import twilio

_MAX_DIGITS = 18
_MAX_ID = 64


@callback
def twilio_status(request: HttpRequest) -> HttpResponse:
    """Take in what Twilio says of a message or a call. A replay changes nothing."""
    form = twilio_app.signed_form(request)
    message_id = form.get("MessageSid") or form.get("CallSid") or ""
    status = form.get("MessageStatus") or form.get("CallStatus") or ""
    if not message_id or not status or len(message_id) > _MAX_ID:
        raise malformed("it names no message or no status")
    said = twilio.said(status, form.get("ErrorCode"))
    if said is None:
        return HttpResponse(status=204)
    # Two providers may share one account.
    same = Provider.objects.filter(kind="twilio", account=form["AccountSid"])
    for provider_id in same.order_by("pk").values_list("pk", flat=True):
        if receipts.apply(
            provider_id=provider_id,
            message_id=message_id,
            status=said.status,
            detail=said.detail,
            notification_id=_number(request.GET.get("n", "")),
            now=timezone.now(),
        ):
            break
    return HttpResponse(status=204)


@callback_by_get
def ovh_report(request: HttpRequest, token: str) -> HttpResponse:
    """Hear that OVHcloud knows more of a message. Nobody signs that, so it is asked."""
    provider = Provider.objects.filter(kind="ovh", url_token=token).first()
    if provider is None:
        raise unproven("no OVHcloud account has this address")
    sent = request.GET if request.method == "GET" else form_of(body_of(request))
    number = _number(str(sent.get("id", "")))
    if number is None:
        raise malformed("it names no message")
    receipts.ask_now(
        provider_id=provider.pk, message_id=str(number), now=timezone.now()
    )
    return HttpResponse(status=200)


def _number(text: str) -> int | None:
    is_number = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
    return int(text) if is_number else None
