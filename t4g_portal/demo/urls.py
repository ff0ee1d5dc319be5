"""Addresses of the demo; they exist only where PORTAL_DEMO is on."""

from __future__ import annotations

from django.urls import path

from t4g_portal.demo import views

app_name = "demo"
urlpatterns = [
    path("platform/", views.platform, name="platform"),
    path("turn/", views.turn, name="turn"),
    path("inbox/", views.inbox_page, name="inbox"),
]
