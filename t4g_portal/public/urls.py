"""The public addresses."""

from __future__ import annotations

from django.urls import path

from t4g_portal.public import views

urlpatterns = [
    path("status/", views.status, name="status"),
    path("status/history/", views.history, name="status_history"),
    path("status.json", views.status_json, name="status_json"),
    path("status.atom", views.status_atom, name="status_atom"),
    path("badges/<slug:slug>.<str:kind>", views.status_badge, name="status_badge"),
    path(
        "badges/<slug:slug>/<str:window>.<str:kind>",
        views.uptime_badge,
        name="uptime_badge",
    ),
]
