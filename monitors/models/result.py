"""What probes saw: raw results for weeks, hourly rollups for a year.

`CheckResult` lives in daily partitions that `monitors.history.partitions` creates and drops;
its table is made by hand in migration 0002.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from monitors.models.monitor import Monitor


class CheckResult(models.Model):
    """One raw result, packed: a row takes about 70 bytes with its index.

    `code` is 0 when the probe passed, else the `Reason` or the HTTP status that
    failed it. Phases in milliseconds; their sum is the latency.
    """

    pk = models.CompositePrimaryKey("monitor_id", "at")
    at = models.DateTimeField()
    monitor = models.ForeignKey(
        Monitor, db_constraint=False, on_delete=models.DO_NOTHING, related_name="+"
    )
    dns_ms = models.FloatField(null=True)
    connect_ms = models.FloatField(null=True)
    tls_ms = models.FloatField(null=True)
    first_byte_ms = models.FloatField(null=True)
    transfer_ms = models.FloatField(null=True)
    code = models.SmallIntegerField()

    class Meta:
        managed = False
        db_table = "monitors_checkresult"

    def __str__(self) -> str:
        return f"{self.monitor_id} {self.at:%Y-%m-%d %H:%M:%S} {self.code}"


class ResultDetail(models.Model):
    """The words of a failed result. Written when they differ from the last ones."""

    monitor = models.ForeignKey(
        Monitor, on_delete=models.CASCADE, related_name="details"
    )
    at = models.DateTimeField(_("at"))
    code = models.SmallIntegerField(_("code"))
    message = models.TextField(_("message"))
    failed_assertion = models.TextField(_("failed assertion"), blank=True)
    excerpt = models.TextField(_("answer"), blank=True)

    class Meta:
        verbose_name = _("failure detail")
        verbose_name_plural = _("failure details")
        indexes = [
            models.Index(fields=["monitor", "-at"], name="monitors_detail_of_monitor")
        ]

    def __str__(self) -> str:
        return f"{self.monitor_id} {self.at:%Y-%m-%d %H:%M:%S}"


class HourlyRollup(models.Model):
    """One hour of one monitor, with a histogram that merges (design §5.7).

    `buckets` and `counts` are the sparse histogram of `monitors.history.histogram`, over
    passed results. Sums in milliseconds.
    """

    pk = models.CompositePrimaryKey("monitor_id", "hour")
    monitor = models.ForeignKey(
        Monitor, on_delete=models.CASCADE, related_name="rollups"
    )
    hour = models.DateTimeField()
    passed_count = models.IntegerField()
    failed_count = models.IntegerField()
    error_count = models.IntegerField()
    dns_ms_sum = models.FloatField(default=0)
    connect_ms_sum = models.FloatField(default=0)
    tls_ms_sum = models.FloatField(default=0)
    first_byte_ms_sum = models.FloatField(default=0)
    transfer_ms_sum = models.FloatField(default=0)
    buckets = ArrayField(models.SmallIntegerField(), default=list)
    counts = ArrayField(models.IntegerField(), default=list)

    class Meta:
        verbose_name = _("hourly rollup")
        verbose_name_plural = _("hourly rollups")
        indexes = [models.Index(fields=["hour"], name="monitors_rollup_by_hour")]

    def __str__(self) -> str:
        return f"{self.monitor_id} {self.hour:%Y-%m-%d %H}"
