from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CellarConfig(AppConfig):
    """Tables that every floor may use: loop cycles, seeded keys."""

    name = "t4g_portal.lib"
    label = "cellar"
    verbose_name = _("Portal")
