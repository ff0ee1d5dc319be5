"""Where links of messages lead and where Slack and phone providers call."""

from __future__ import annotations

from django.urls import path

from incidents.inbound import pages

urlpatterns = [path("a/<str:token>", pages.acknowledge, name="ack-link")]
