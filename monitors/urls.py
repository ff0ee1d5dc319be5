"""Addresses of monitors. `ping/…` is where heartbeats call."""

from __future__ import annotations

from django.urls import include, path

from monitors import views

app_name = "monitors"

urlpatterns = [
    path("monitors/", views.monitor_list, name="list"),
    path("monitors/<int:pk>/", views.monitor_detail, name="detail"),
    path("", include("monitors.heartbeats.urls")),
]
