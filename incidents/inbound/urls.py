"""Where links of messages lead and where Slack and phone providers call."""

from __future__ import annotations

from django.urls import path

from incidents.inbound import pages, slack, sms, voice

urlpatterns = [
    path("a/<str:token>", pages.acknowledge, name="ack-link"),
    path("hooks/slack/actions", slack.actions, name="slack-actions"),
    path("hooks/twilio/sms", sms.incoming, name="twilio-sms"),
    path("hooks/twilio/voice", voice.key_pressed, name="twilio-voice"),
]
