"""Addresses below `/incidents/`."""

from __future__ import annotations

from django.urls import path

from incidents import views
from incidents.numbers import views as numbers

app_name = "incidents"

urlpatterns = [
    path("", views.incident_list, name="list"),
    path("numbers/", numbers.numbers, name="numbers"),
    path("numbers/<str:name>.csv", numbers.table, name="numbers-table"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/acknowledge/", views.acknowledge, name="acknowledge"),
    path("<int:pk>/unacknowledge/", views.unacknowledge, name="unacknowledge"),
    path("<int:pk>/resolve/", views.resolve, name="resolve"),
    path("<int:pk>/note/", views.note, name="note"),
    path("<int:pk>/public/", views.tell_public, name="public"),
    path("<int:pk>/snooze/", views.snooze, name="snooze"),
    path("<int:pk>/priority/", views.priority, name="priority"),
]
