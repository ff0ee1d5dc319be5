"""Where probes run from, and how that place knows that it is online."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class ControlTarget(models.Model):
    """Something that answers whenever our own network works.

    When none of the enabled ones answers, the fault is ours: results become unknown.
    """

    host = models.CharField(_("host"), max_length=253)
    port = models.PositiveIntegerField(_("port"), default=443)
    is_enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("control target")
        verbose_name_plural = _("control targets")
        constraints = [
            models.UniqueConstraint(
                fields=["host", "port"], name="monitors_controltarget_once"
            ),
            models.CheckConstraint(
                condition=Q(port__gte=1, port__lte=65535),
                name="monitors_controltarget_port_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class LocationState(models.Model):
    """What a probe location last said of itself. Engine-owned."""

    name = models.CharField(primary_key=True, max_length=60)
    is_blind = models.BooleanField(default=False)
    changed_at = models.DateTimeField()
    checked_at = models.DateTimeField()

    class Meta:
        verbose_name = _("probe location")
        verbose_name_plural = _("probe locations")

    def __str__(self) -> str:
        return self.name
