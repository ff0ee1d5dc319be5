"""The addresses that providers call back, below PORTAL_URL."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings


def status_url(notification_id: int) -> str:
    """Return where Twilio says what became of a message or a call.

    The number comes back signed with the rest of the address, and before we may have
    stored what Twilio calls the message.
    """
    return _url("/hooks/twilio/status", n=notification_id)


def keypress_url(notification_id: int) -> str:
    """Return where Twilio says which key was pressed during a call."""
    return _url("/hooks/twilio/voice", n=notification_id)


def reports_url(url_token: str) -> str:
    """Return what one enters at OVHcloud as the address of delivery reports."""
    return _url(f"/hooks/ovh/{url_token}")


def _url(path: str, **query: int) -> str:
    return f"{settings.PORTAL_URL}{path}" + (f"?{urlencode(query)}" if query else "")
