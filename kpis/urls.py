"""Addresses of KPIs."""

from __future__ import annotations

from django.urls import path

from kpis import views

app_name = "kpis"

urlpatterns = [
    path("", views.board, name="board"),
    path("wall/", views.wall, name="wall"),
    path("<slug:slug>/", views.kpi_page, name="kpi"),
    path("<slug:slug>/note/", views.note, name="note"),
    path("<slug:slug>/run/", views.run, name="run"),
    path("<slug:slug>/value/", views.value, name="value"),
    path("<slug:slug>/export.<str:form>", views.export, name="export"),
]
