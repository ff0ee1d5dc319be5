"""Addresses below `/me/`: one's own contact details."""

from __future__ import annotations

from django.urls import path

from notifications import views

app_name = "notifications"

urlpatterns = [
    path("", views.me, name="me"),
    path("details/", views.set_details, name="details"),
    path("rules/", views.set_rules, name="rules"),
    path("addresses/", views.add_address, name="add-address"),
    *(
        path(f"addresses/<int:pk>/{name}/", view, name=name)
        for name, view in (
            ("send-code", views.send_code),
            ("verify", views.verify),
            ("test", views.test),
            ("switch", views.switch),
            ("remove", views.remove),
        )
    ),
]
