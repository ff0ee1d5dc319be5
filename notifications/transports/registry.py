"""Kind of channel or address → its transport. A new kind is one file and one line."""

from __future__ import annotations

from django.utils.translation import gettext as _

from notifications.transports.base import Transport, TransportError
from notifications.transports.email import EmailTransport
from notifications.transports.slack import SlackTransport
from notifications.transports.webhook import WebhookTransport

_TRANSPORTS: dict[str, Transport] = {
    "email": EmailTransport(),
    "slack": SlackTransport(),
    "webhook": WebhookTransport(),
}


def is_known(kind: str) -> bool:
    """Whether messages of this kind can be sent at all."""
    return kind in _TRANSPORTS


def transport_for(kind: str) -> Transport:
    """Return the transport; raises TransportError (permanent) when there is none."""
    try:
        return _TRANSPORTS[kind]
    except KeyError:
        raise TransportError(
            _("Nothing here can send to %(kind)s yet.") % {"kind": kind},
            permanent=True,
        ) from None
