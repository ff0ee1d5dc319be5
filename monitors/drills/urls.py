"""Addresses below `/drills/`."""

from __future__ import annotations

from django.urls import path

from monitors.drills import views

app_name = "drills"

urlpatterns = [
    path("", views.drill_list, name="list"),
    path("start/", views.start, name="start"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/stop/", views.stop, name="stop"),
    path("<int:pk>/sign/", views.sign, name="sign"),
]
