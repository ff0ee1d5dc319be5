"""Carrier → its transport. A new one is one file and one line."""

from __future__ import annotations

from django.utils.translation import gettext as _

from notifications.transports.apprise import AppriseTransport
from notifications.transports.base import Reporting, Transport, TransportError
from notifications.transports.email import EmailTransport
from notifications.transports.ovh_sms import OvhSmsTransport
from notifications.transports.slack import SlackTransport
from notifications.transports.slack_bot import SlackBotTransport
from notifications.transports.twilio_sms import TwilioSmsTransport
from notifications.transports.twilio_voice import TwilioVoiceTransport
from notifications.transports.webhook import WebhookTransport

_TRANSPORTS: dict[str, Transport] = {
    "email": EmailTransport(),
    "slack": SlackTransport(),
    "webhook": WebhookTransport(),
    "apprise": AppriseTransport(),
}
# Through an account: by carrier and kind of provider, as in `carriers.NEEDED`.
_twilio_sms, _twilio_voice = TwilioSmsTransport(), TwilioVoiceTransport()
_ovh_sms = OvhSmsTransport()
_THROUGH: dict[tuple[str, str], Transport] = {
    ("sms", "twilio"): _twilio_sms,
    ("sms", "ovh"): _ovh_sms,
    ("voice", "twilio"): _twilio_voice,
    ("slack_bot", "slack"): SlackBotTransport(),
}
# Who knows later what became of a message.
_REPORTING: dict[tuple[str, str], Reporting] = {
    ("sms", "twilio"): _twilio_sms,
    ("sms", "ovh"): _ovh_sms,
    ("voice", "twilio"): _twilio_voice,
}


def is_known(carrier: str) -> bool:
    """Whether messages can be carried like this at all."""
    return carrier in _TRANSPORTS or any(carrier == one for one, _kind in _THROUGH)


def transport_for(carrier: str, provider_kind: str = "") -> Transport:
    """Return the transport; raises TransportError (permanent) when there is none."""
    found = (
        _THROUGH.get((carrier, provider_kind))
        if provider_kind
        else _TRANSPORTS.get(carrier)
    )
    if found is None:
        raise TransportError(
            _("Nothing here can send to %(kind)s yet.") % {"kind": carrier},
            permanent=True,
        )
    return found


def reporting_for(carrier: str, provider_kind: str) -> Reporting | None:
    """Return who can be asked what became of a message, None when nobody can."""
    return _REPORTING.get((carrier, provider_kind))
