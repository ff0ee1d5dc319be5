"""Addresses below /api/v1/."""

from __future__ import annotations

from notifications.api.contacts import ContactResource
from notifications.api.providers import ProviderResource
from notifications.api.resources import ChannelResource
from t4g_portal.lib.api.urls import resource

urlpatterns = [
    *resource("contacts/", ContactResource),
    *resource("channels/", ChannelResource),
    *resource("providers/", ProviderResource),
]
