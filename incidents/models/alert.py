"""One firing condition."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from incidents.models.incident import Incident
from incidents.models.service import Service
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import retold


class Alert(models.Model):
    """A condition that fires until whoever raised it says it is over.

    `dedup_key` names the condition; at most one alert with a key fires at a time.
    """

    class Status(models.TextChoices):
        FIRING = "firing", _("Firing")
        RESOLVED = "resolved", pgettext_lazy("alert", "Resolved")

    dedup_key = models.CharField(_("dedup key"), max_length=200)
    service = models.ForeignKey(
        Service,
        verbose_name=_("service"),
        on_delete=models.PROTECT,
        related_name="alerts",
    )
    incident = models.ForeignKey(
        Incident,
        verbose_name=_("incident"),
        on_delete=models.PROTECT,
        related_name="alerts",
    )
    title = models.CharField(_("title"), max_length=300)
    detail = models.TextField(_("detail"), blank=True)
    priority = models.CharField(_("priority"), max_length=2, choices=Priority.choices)
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.FIRING
    )
    # What raised it, such as "monitor:12"; pages make a link of it.
    source = models.CharField(_("source"), max_length=100, blank=True)
    # What to do about it; whoever raised it knows.
    runbook_url = models.URLField(_("runbook"), blank=True, default="", db_default="")
    # When the condition began, which is before anybody noticed.
    started_at = models.DateTimeField(_("started"))
    triggered_at = models.DateTimeField(_("triggered"))
    last_triggered_at = models.DateTimeField(_("last triggered"))
    trigger_count = models.PositiveIntegerField(_("times triggered"), default=1)
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True)

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        constraints = [
            models.UniqueConstraint(
                fields=["dedup_key"],
                condition=Q(status="firing"),
                name="incidents_alert_one_firing_a_key",
            ),
            models.CheckConstraint(
                condition=Q(status="firing", resolved_at__isnull=True)
                | Q(status="resolved", resolved_at__isnull=False),
                name="incidents_alert_resolved_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(priority__in=Priority.values),
                name="incidents_alert_priority_known",
            ),
        ]
        # The page of what raised it.
        indexes = [models.Index(fields=["source"], name="incidents_alert_source")]

    def __str__(self) -> str:
        return f"#{self.pk} {retold(self.title)}"
