"""Named measurements over time; any app records into them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Series(models.Model):
    """One measurement with one set of labels, such as cpu_percent{service=backend}."""

    name = models.CharField(_("name"), max_length=100)
    labels = models.JSONField(_("labels"), default=dict, blank=True)
    # The labels in one canonical line: what makes a series unique.
    labels_key = models.CharField(max_length=500, blank=True, editable=False)
    unit = models.CharField(_("unit"), max_length=20, blank=True)
    source = models.CharField(_("source"), max_length=60)
    # How often a value is expected; "no data" is judged by it. 0: no promise.
    interval_s = models.PositiveIntegerField(_("interval (s)"), default=0)
    created_at = models.DateTimeField(_("created"))
    last_at = models.DateTimeField(_("last sample"), null=True, blank=True)
    last_value = models.FloatField(_("last value"), null=True, blank=True)

    class Meta:
        verbose_name = _("series")
        verbose_name_plural = pgettext_lazy("plural", "series")
        constraints = [
            models.UniqueConstraint(
                fields=["name", "labels_key"], name="monitors_series_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}{{{self.labels_key}}}"


class Sample(models.Model):
    """One value of one series; in daily partitions like `CheckResult`."""

    pk = models.CompositePrimaryKey("series_id", "at")
    at = models.DateTimeField()
    series = models.ForeignKey(
        Series, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+"
    )
    value = models.FloatField()

    class Meta:
        managed = False
        db_table = "monitors_sample"

    def __str__(self) -> str:
        return f"{self.series_id} {self.at:%Y-%m-%d %H:%M:%S} {self.value}"
