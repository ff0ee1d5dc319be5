"""Addresses of the first run."""

from __future__ import annotations

from django.urls import path

from t4g_portal.first_run import views

app_name = "first_run"
urlpatterns = [
    path("", views.start, name="start"),
    path("watch/", views.watch, name="watch"),
    path("tell/", views.tell, name="tell"),
    path("end/", views.end, name="end"),
]
