"""Addresses below `/on-call/`."""

from __future__ import annotations

from django.urls import path

from incidents.oncall import feed_views
from incidents.oncall.pages import absences, overview, shifts, swaps

app_name = "oncall"

urlpatterns = [
    path("", overview.on_call, name="page"),
    path("change/", shifts.change, name="change"),
    path("swap/", swaps.ask_swap, name="swap"),
    path("swap/<int:pk>/accept/", swaps.accept, name="accept"),
    path("swap/<int:pk>/decline/", swaps.decline, name="decline"),
    path("swap/<int:pk>/withdraw/", swaps.withdraw, name="withdraw"),
    path("override/<int:pk>/remove/", shifts.remove_override, name="remove_override"),
    path("absence/", absences.plan_absence, name="absence"),
    path("absence/<int:pk>/remove/", absences.remove_absence, name="remove_absence"),
    path("feed/", feed_views.renew, name="feed"),
    path("hours.csv", overview.hours_csv, name="hours"),
]
