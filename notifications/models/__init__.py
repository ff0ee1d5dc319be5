"""People's addresses, channels, the outbox and its attempts."""

from __future__ import annotations

from notifications.models.channel import Channel, ChannelState
from notifications.models.contact import (
    Address,
    AddressVerification,
    Contact,
    PersonalRule,
)
from notifications.models.inbound import SeenCall
from notifications.models.outbox import Attempt, Notification

__all__ = [
    "Address",
    "AddressVerification",
    "Attempt",
    "Channel",
    "ChannelState",
    "Contact",
    "Notification",
    "PersonalRule",
    "SeenCall",
]
