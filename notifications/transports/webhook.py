"""Signed webhooks after Standard Webhooks 1.0.0; the body is described in the README."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from notifications.message import Fact, Message
from notifications.transports import http
from notifications.transports.base import Destination, Receipt, TransportError
from notifications.validation import signing_key


class WebhookTransport:
    """POST to the channel's URL, signed with the channel's secret."""

    def send(
        self, *, destination: Destination, message: Message, idempotency_key: str
    ) -> Receipt:
        """Send; 2xx is a receipt, 408, 425, 429 and 5xx are tried again."""
        sent_at = int(time.time())
        content = json.dumps(body(message=message, sent_at=sent_at)).encode()
        answer = http.post(
            url=destination.address,
            content=content,
            headers={
                "webhook-id": idempotency_key,
                "webhook-timestamp": str(sent_at),
                "webhook-signature": _signature(
                    destination.secret, idempotency_key, sent_at, content
                ),
            },
            destination=destination,
        )
        if answer.is_taken:
            return Receipt(detail={"http_status": answer.status, "answer": answer.text})
        raise TransportError(
            _said(answer),
            permanent=answer.is_permanent,
            retry_after_s=answer.retry_after_s,
        )


def body(*, message: Message, sent_at: int) -> dict[str, Any]:
    """Return what is posted; `sent_at` in seconds since 1970."""
    return {
        "type": "notification",
        "timestamp": datetime.fromtimestamp(sent_at, tz=UTC).isoformat(),
        "data": {
            # "Reminder" when it may have arrived already, "DRILL" in a rehearsal.
            "mark": message.mark,
            "title": message.title,
            "text": message.text,
            "tone": message.tone,
            "priority": message.priority,
            "facts": _facts(message.facts),
            "sections": [
                {"heading": section.heading, "facts": _facts(section.facts)}
                for section in message.sections
            ],
            "url": message.url,
            "thread_key": message.thread_key,
            "is_first_in_thread": message.is_first_in_thread,
            "language": message.language,
        },
    }


def _facts(facts: Iterable[Fact]) -> list[dict[str, str]]:
    return [{"label": fact.label, "value": fact.value} for fact in facts]


def _signature(secret: str, key: str, sent_at: int, content: bytes) -> str:
    try:
        signer = signing_key(secret)
    except ValueError:
        raise TransportError(
            _("The signing secret can't be used. Enter it again."), permanent=True
        ) from None
    signed = f"{key}.{sent_at}.".encode() + content
    digest = hmac.new(signer, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _said(answer: http.Answer) -> str:
    if answer.status == 410:
        return _(
            "HTTP 410: the receiver is gone for good. Enter its new URL or disable "
            "the channel."
        )
    if 300 <= answer.status < 400:
        return _(
            "HTTP %(status)d: redirects are not followed. Enter the final URL."
        ) % {"status": answer.status}
    return f"HTTP {answer.status}: {answer.text}"
