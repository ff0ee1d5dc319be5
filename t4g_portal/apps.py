from __future__ import annotations

from django.apps import AppConfig, apps
from django.contrib.admin.apps import AdminConfig
from django.utils.translation import gettext_lazy as _

# The API has one description page, not three; collecting is slow enough without.
_STATIC_UNUSED = ["rest_framework", "redoc"]


class PortalAdminConfig(AdminConfig):
    default_site = "t4g_portal.site.PortalSite"


class PortalConfig(AppConfig):
    name = "t4g_portal"
    verbose_name = _("T4G portal")

    def ready(self) -> None:
        """Make ours Celery's current app, so that `shared_task` binds to it.

        And keep Unfold within the content policy, and the history of what people
        configure.
        """
        import unfold.fields

        import t4g_portal.celery
        import t4g_portal.trust.checks  # noqa: F401
        from t4g_portal.tracked import track_configuration

        # Where Pygments happens to be installed, as it is with the tests, Unfold would
        # color JSON by style attributes, which the content policy forbids.
        unfold.fields.prettify_json = lambda value, encoder: None
        static = apps.get_app_config("staticfiles")
        static.ignore_patterns = [*static.ignore_patterns, *_STATIC_UNUSED]  # type: ignore[attr-defined]
        track_configuration()
