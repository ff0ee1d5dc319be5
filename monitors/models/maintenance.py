"""Planned quiet."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from incidents.models import Service
from monitors.models.monitor import Monitor


class MaintenanceWindow(models.Model):
    """A planned stretch of time, once or recurring, that pages nobody.

    Times are wall times of `time_zone`, so "Sunday 02:00" stays that over summer time.
    """

    name = models.CharField(_("name"), max_length=120, unique=True)
    is_enabled = models.BooleanField(_("enabled"), default=True)
    starts_at = models.DateTimeField(_("first start"))
    duration_s = models.PositiveIntegerField(_("length (s)"), default=3600)
    recurrence = models.CharField(
        _("recurrence"),
        max_length=200,
        blank=True,
        help_text=_("An RRULE such as FREQ=WEEKLY;BYDAY=SU. Empty: once."),
    )
    time_zone = models.CharField(_("time zone"), max_length=60, default="Europe/Paris")
    monitors = models.ManyToManyField(
        Monitor, verbose_name=_("monitors"), blank=True, related_name="windows"
    )
    services = models.ManyToManyField(
        Service, verbose_name=_("services"), blank=True, related_name="windows"
    )
    tags = ArrayField(
        models.CharField(max_length=40),
        verbose_name=_("tags"),
        default=list,
        blank=True,
        help_text=_("Separated by commas."),
    )
    note = models.TextField(_("note"), blank=True)
    public_note = models.TextField(
        _("public note"),
        blank=True,
        max_length=500,
        default="",
        db_default="",
        help_text=_(
            "What users read on the status page, beside the services and the time."
        ),
    )

    class Meta:
        verbose_name = _("maintenance window")
        verbose_name_plural = _("maintenance windows")
        constraints = [
            models.CheckConstraint(
                condition=Q(duration_s__gte=60, duration_s__lte=30 * 86_400),
                name="monitors_maintenancewindow_length_in_range",
            )
        ]

    def __str__(self) -> str:
        return self.name
