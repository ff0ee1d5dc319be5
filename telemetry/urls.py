"""Addresses below /deployments/."""

from __future__ import annotations

from django.urls import path

from telemetry import views

app_name = "deployments"
urlpatterns = [
    path("", views.deployment_list, name="list"),
    path("<int:pk>/", views.deployment, name="detail"),
]
