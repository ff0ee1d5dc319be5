"""The admin of contacts, channels and providers, and the view of what was sent and what was not."""

from __future__ import annotations

from notifications.admin.channel import ChannelAdmin
from notifications.admin.contact import ContactAdmin
from notifications.admin.outbox import NotificationAdmin
from notifications.admin.provider import ProviderAdmin

__all__ = ["ChannelAdmin", "ContactAdmin", "NotificationAdmin", "ProviderAdmin"]
