"""What users depend on."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Service(models.Model):
    """Something users depend on (Frontend, Backend); incidents belong to one."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    slug = models.SlugField(_("short name"), max_length=60, unique=True)
    description = models.TextField(_("description"), blank=True)
    runbook_url = models.URLField(
        _("runbook"),
        blank=True,
        help_text=_("What to do when it breaks. Shown on each incident."),
    )
    vendor_url = models.URLField(
        _("vendor support"),
        blank=True,
        help_text=_("Where to escalate to the provider that runs it."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=60,
        default="Europe/Paris",
        help_text=_("Where its days begin and end."),
    )
    is_public = models.BooleanField(_("on the public status page"), default=True)
    position = models.PositiveSmallIntegerField(_("position"), default=100)

    class Meta:
        verbose_name = _("service")
        verbose_name_plural = _("services")

    def __str__(self) -> str:
        return self.name
