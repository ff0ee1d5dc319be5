"""Every address of the portal."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from t4g_portal import views

urlpatterns = [
    path("", views.home, name="home"),
    path("", include("monitors.urls")),
    path("incidents/", include("incidents.urls")),
    path("status/", include("t4g_portal.status_page")),
    path("health", views.health, name="health"),
    path("ready", views.ready, name="ready"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
]
