"""`/hooks/twilio/status` and `/hooks/ovh/<token>`: what became of a message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

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
from notifications.transports import twilio, twilio_voice
from notifications.transports.base import Said

_MAX_DIGITS = 18
_MAX_ID = 64


@callback
def twilio_status(request: HttpRequest) -> HttpResponse:
    """Take in what Twilio says of a message or a call. A replay changes nothing."""
    form, now = twilio_app.signed_form(request), timezone.now()
    message_id = form.get("MessageSid") or form.get("CallSid") or ""
    if not message_id or len(message_id) > _MAX_ID:
        raise malformed("it names no message")
    if "CallSid" in form:
        status, by = form.get("CallStatus", ""), form.get("AnsweredBy", "")
        said = twilio_voice.said(status=status, answered_by=by)
    else:
        status, by = form.get("MessageStatus", ""), ""
        said = twilio.said(status, form.get("ErrorCode"))
    if not (status or by):
        raise malformed("it names no status")
    if said is not None:
        number = _number(request.GET.get("n", ""))
        take_in(form=form, said=said, notification_id=number, now=now)
    elif status == twilio_voice.OVER:
        # Who answered stands in the call itself.
        for provider_id in _accounts(form):
            receipts.ask_now(provider_id=provider_id, message_id=message_id, now=now)
    return HttpResponse(status=204)


def take_in(
    *,
    form: Mapping[str, str],
    said: Said,
    notification_id: int | None,
    now: datetime,
) -> None:
    """Take in what a signed form of Twilio's tells of its message or call."""
    for provider_id in _accounts(form):
        if receipts.apply(
            provider_id=provider_id,
            message_id=form.get("MessageSid") or form.get("CallSid") or "",
            status=said.status,
            detail=said.detail,
            notification_id=notification_id,
            now=now,
        ):
            break


@callback_by_get
def ovh_report(request: HttpRequest, token: str) -> HttpResponse:
    """Hear that OVHcloud knows more of a message. Nobody signs that, so it is asked."""
    ours = Provider.objects.filter(kind="ovh", url_token=token)
    # No column takes a NUL, and no token of ours has one.
    provider = ours.first() if token.isprintable() else None
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


def _accounts(form: Mapping[str, str]) -> Iterator[int]:
    """Return the providers that a form may be about: two may share one account."""
    same = Provider.objects.filter(kind="twilio", account=form["AccountSid"])
    yield from same.order_by("pk").values_list("pk", flat=True)


def _number(text: str) -> int | None:
    is_number = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
    return int(text) if is_number else None
