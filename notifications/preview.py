"""A message as its receiver gets it, for the portal's own pages."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime

from notifications.bundling import bundled, carried_by
from notifications.carriers import carrier
from notifications.message import Message
from notifications.models import Notification
from notifications.texting import sms_text, spoken_text
from notifications.transports import apprise, email, slack, webhook
from notifications.transports.base import Destination
from t4g_portal.lib.logs.scrubbing import scrub


@dataclass(frozen=True, slots=True)
class Preview:
    """`html` is a whole document, empty where the receiver draws the message itself."""

    message: Message
    subject: str
    text: str
    html: str


def preview(*, notification: Notification) -> Preview:
    """Draw a stored notification; raises message.UnableToReadMessage."""
    own = Message.from_json(notification.message)
    channel, address = notification.channel, notification.address
    kind = (
        carrier(channel=channel, address=address, method=notification.method)
        if channel or address
        else ""
    )
    return preview_message(
        message=bundled([own, *carried_by(notification)]),
        kind=kind,
        key=notification.idempotency_key,
        sent_at=notification.queued_at,
    )


def preview_message(
    *, message: Message, kind: str, key: str, sent_at: datetime
) -> Preview:
    """Draw a message as a kind of destination gets it; `key` is its idempotency key."""
    message = _without_links_to_act(message)
    if kind in {"sms", "voice"}:
        # The sender decides about the link; this is what fits with it.
        text = (
            sms_text(message, can_reply=False)
            if kind == "sms"
            else spoken_text(message)
        )
        return Preview(message=message, subject="", text=text, html="")
    if kind == "apprise":
        text = apprise.body(message)
        return Preview(
            message=message, subject=message.marked_title, text=text, html=""
        )
    if kind == "email":
        mail = email.compose(
            destination=Destination(key=key, kind=kind, address=""),
            message=message,
            idempotency_key=key,
        )
        html = str(mail.alternatives[0][0])
        return Preview(
            message=message, subject=str(mail.subject), text=str(mail.body), html=html
        )
    sent = (
        slack.payload(message)
        if kind in {"slack", "slack_bot"}
        else webhook.body(message=message, sent_at=int(sent_at.timestamp()))
    )
    text = json.dumps(sent, indent=2, ensure_ascii=False)
    return Preview(message=message, subject="", text=text, html="")


def _without_links_to_act(message: Message) -> Message:
    """Leave out what acts in the receiver's name: others read this too."""
    return replace(message, ack_url=scrub(message.ack_url), short=scrub(message.short))
