"""Every address of the portal."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from incidents import simulator_views
from incidents.oncall import feed_views
from monitors import why_views
from t4g_portal import views
from t4g_portal.trust import csp_reports, signing_in

handler400 = "t4g_portal.errors.bad_request"
handler403 = "t4g_portal.errors.forbidden"
handler404 = "t4g_portal.errors.not_found"
handler500 = "t4g_portal.errors.server_error"

urlpatterns = [
    path("", views.home, name="home"),
    path("", include("monitors.urls")),
    path("", include("incidents.inbound.urls")),
    path("", include("notifications.inbound.urls")),
    path("kpis/", include("kpis.urls")),
    path("checklists/", include("checklists.urls")),
    path("deployments/", include("telemetry.urls")),
    path("drills/", include("monitors.drills.urls")),
    path("incidents/", include("incidents.urls")),
    path("simulator/", simulator_views.simulator_page, name="simulator"),
    path("simulator/keep/", simulator_views.keep, name="simulator-keep"),
    path("simulator/why/", why_views.why_page, name="why"),
    path("on-call/", include("incidents.oncall.urls")),
    path("feeds/on-call/<str:token>.ics", feed_views.feed, name="on-call-feed"),
    path("me/", include("notifications.urls")),
    path("", include("t4g_portal.public.urls")),
    path("first-steps/", include("t4g_portal.first_run.urls")),
    path("health", views.health, name="health"),
    path("ready", views.ready, name="ready"),
    path("csp-report", csp_reports.receive, name="csp-report"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/", include("t4g_portal.api")),
    # Before the admin's own, which has the same address and is called from there.
    path("admin/login/", signing_in.login),
    path("admin/", admin.site.urls),
]
if settings.PORTAL_DEMO:
    urlpatterns.append(path("demo/", include("t4g_portal.demo.urls")))
