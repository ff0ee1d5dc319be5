"""`/ping/<key>`, `/ping/<key>/start`, `/ping/<key>/fail`, `/ping/<key>/<exit code>`."""

from __future__ import annotations

from django.urls import path

from monitors.heartbeats import views

urlpatterns = [
    path("ping/<str:ping_key>", views.ping, name="ping"),
    path("ping/<str:ping_key>/", views.ping),
    path("ping/<str:ping_key>/<str:action>", views.ping, name="ping-signal"),
]
