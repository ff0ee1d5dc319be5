"""Messages and rows that the tests of this room share."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

from django.urls import reverse

from notifications import services
from notifications.message import Fact, Message
from notifications.models import Attempt, Channel, Notification, Provider
from tests.factories import make_channel
from tests.notifications import vendors

PHONE = "+33612345678"
_numbers = itertools.count(1)
SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def make_message(**values: Any) -> Message:
    values.setdefault("title", "Backend is down")
    values.setdefault("text", "HTTP 502 three times in a row")
    values.setdefault("tone", "alarm")
    values.setdefault("priority", "p0")
    values.setdefault("facts", (Fact("Since", "10:00:14"),))
    values.setdefault("url", "https://ops.example/incidents/42/")
    values.setdefault("language", "en")
    return Message(**values)


def make_slack_channel(url: str, **values: Any) -> Channel:
    return make_channel(kind="slack", address="", secret=url, **values)


def make_webhook_channel(url: str, **values: Any) -> Channel:
    values.setdefault("secret", SIGNING_SECRET)
    return make_channel(kind="webhook", address=url, **values)


def make_twilio(**values: Any) -> Provider:
    """The account that `vendors.Twilio` knows."""
    values.setdefault("name", "Twilio")
    values.setdefault("account", vendors.ACCOUNT_SID)
    values.setdefault("secret", vendors.AUTH_TOKEN)
    values.setdefault("sender", "+33757000000")
    values.setdefault("voice_sender", "+33757000000")
    values.setdefault("is_enabled", True)
    values.setdefault("position", 1)
    return Provider.objects.create(kind="twilio", **values)


def make_ovh(**values: Any) -> Provider:
    """The account that `vendors.Ovh` knows."""
    values.setdefault("name", "OVHcloud")
    values.setdefault("account", vendors.OVH_SERVICE)
    values.setdefault("key_id", vendors.OVH_KEY)
    values.setdefault("secret", vendors.OVH_SECRET)
    values.setdefault("second_secret", vendors.OVH_CONSUMER)
    values.setdefault("sender", "T4GOPS")
    values.setdefault("is_enabled", True)
    values.setdefault("position", 2)
    return Provider.objects.create(kind="ovh", **values)


def make_sms_channel(*numbers: str, **values: Any) -> Channel:
    address = ", ".join(numbers or (PHONE,))
    return make_channel(kind="sms", address=address, **values)


def make_notification(*, now: datetime, **values: Any) -> Notification:
    """Something in the outbox, through the door that everybody uses."""
    if "channel" not in values and "address" not in values:
        values["channel"] = make_channel()
    values.setdefault("message", make_message())
    values.setdefault("purpose", "page")
    values.setdefault("subject_key", "incident:42")
    values.setdefault("idempotency_key", f"key:{next(_numbers)}")
    return services.enqueue(now=now, **values)


def reread(notification: Notification) -> Notification:
    return Notification.objects.get(pk=notification.pk)


def outcomes(notification: Notification) -> list[str]:
    attempts = Attempt.objects.filter(notification=notification).order_by("pk")
    return list(attempts.values_list("outcome", flat=True))


def details(notification: Notification) -> list[str]:
    attempts = Attempt.objects.filter(notification=notification).order_by("pk")
    return list(attempts.values_list("detail", flat=True))


def page(name: str, *args: Any) -> str:
    """The address of an admin page of this room."""
    return reverse(f"admin:notifications_{name}", args=args)


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())
