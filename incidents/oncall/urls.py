"""Addresses below `/on-call/`."""

from __future__ import annotations

from django.urls import path

from incidents.oncall import feed_views, pages

app_name = "oncall"

urlpatterns = [
    path("", pages.on_call, name="page"),
    path("change/", pages.change, name="change"),
    path("swap/", pages.ask_swap, name="swap"),
    path("swap/<int:pk>/accept/", pages.accept, name="accept"),
    path("swap/<int:pk>/decline/", pages.decline, name="decline"),
    path("swap/<int:pk>/withdraw/", pages.withdraw, name="withdraw"),
    path("override/<int:pk>/remove/", pages.remove_override, name="remove_override"),
    path("absence/", pages.plan_absence, name="absence"),
    path("absence/<int:pk>/remove/", pages.remove_absence, name="remove_absence"),
    path("feed/", feed_views.renew, name="feed"),
    path("hours.csv", pages.hours_csv, name="hours"),
]
