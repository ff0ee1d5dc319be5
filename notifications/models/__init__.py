"""People's addresses, channels, providers, the outbox with its attempts and reports."""

from __future__ import annotations

from notifications.models.channel import Channel, ChannelState
from notifications.models.contact import (
    Address,
    AddressVerification,
    Contact,
    PersonalRule,
)
from notifications.models.inbound import SeenCall
from notifications.models.outbox import Attempt, DeliveryReport, Notification
from notifications.models.provider import Provider, ProviderState

__all__ = [
    "Address",
    "AddressVerification",
    "Attempt",
    "Channel",
    "ChannelState",
    "Contact",
    "DeliveryReport",
    "Notification",
    "PersonalRule",
    "Provider",
    "ProviderState",
    "SeenCall",
]
