"""Addresses of monitors. `ping/…` is where heartbeats call."""

from __future__ import annotations

from django.urls import include, path

from monitors import probe_now_views, views

app_name = "monitors"

urlpatterns = [
    path("monitors/", views.monitor_list, name="list"),
    path("monitors/bulk/", views.monitor_bulk, name="bulk"),
    path("monitors/<int:pk>/", views.monitor_detail, name="detail"),
    path("monitors/<int:pk>/probe/", probe_now_views.probe_now_page, name="probe_now"),
    path("", include("monitors.heartbeats.urls")),
]
