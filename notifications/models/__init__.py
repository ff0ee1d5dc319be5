"""People's addresses, channels, the outbox and its attempts."""

from __future__ import annotations

from notifications.models.channel import Channel, ChannelState
from notifications.models.contact import Address, Contact
from notifications.models.outbox import Attempt, Notification

__all__ = [
    "Address",
    "Attempt",
    "Channel",
    "ChannelState",
    "Contact",
    "Notification",
]
