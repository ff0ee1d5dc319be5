"""`/ping/<key>`, `/ping/<key>/start`, `/ping/<key>/fail`, `/ping/<key>/<exit code>`."""

from __future__ import annotations

from django.urls import path

from monitors import ping_views

urlpatterns = [
    path("ping/<str:ping_key>", ping_views.ping, name="ping"),
    path("ping/<str:ping_key>/", ping_views.ping),
    path("ping/<str:ping_key>/<str:action>", ping_views.ping, name="ping-signal"),
]
