"""Where providers report what became of messages."""

from __future__ import annotations

from django.urls import path

from notifications.inbound import reports

urlpatterns = [
    path("hooks/twilio/status", reports.twilio_status, name="twilio-status"),
    path("hooks/ovh/<str:token>", reports.ovh_report, name="ovh-report"),
]
