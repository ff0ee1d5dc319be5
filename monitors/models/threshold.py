"""When a measurement is a problem, and how big a one."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from incidents.models import Service
from monitors.models.monitor import Monitor
from monitors.models.series import Series
from t4g_portal.lib.priority import Priority


class Threshold(models.Model):
    """A comparison with a window, a count and a priority; ops edit it in the admin.

    It applies to one monitor, to a service's, to a tag's, to all, or to series of a
    name. Of two thresholds on the same measure, the narrower one counts alone.
    """

    class Measure(models.TextChoices):
        DOWN = "down", _("is down")
        FAILURES = "failures", _("failures in a row")
        ERROR_RATIO = "error_ratio", _("share of failed checks (%)")
        LATENCY = "latency", _("latency (ms)")
        TLS_DAYS = "tls_days", _("days until the certificate expires")
        SERIES = "series", _("value of a series")
        NO_DATA = "no_data", _("age of the last sample of a series (s)")

    class Aggregate(models.TextChoices):
        LAST = "last", _("last value")
        AVG = "avg", _("average")
        MIN = "min", _("lowest")
        MAX = "max", _("highest")
        SUM = "sum", _("sum")
        P50 = "p50", _("median")
        P95 = "p95", _("95th percentile")
        P99 = "p99", _("99th percentile")

    class Comparison(models.TextChoices):
        ABOVE = "above", _("above")
        BELOW = "below", _("below")

    name = models.CharField(_("name"), max_length=120, unique=True)
    is_enabled = models.BooleanField(_("enabled"), default=True)
    measure = models.CharField(_("measure"), max_length=20, choices=Measure.choices)
    monitor = models.ForeignKey(
        Monitor,
        verbose_name=_("only this monitor"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="thresholds",
    )
    service = models.ForeignKey(
        Service,
        verbose_name=_("only this service"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="thresholds",
        help_text=_("For a series: the service whose incident it opens."),
    )
    tag = models.CharField(_("only this tag"), max_length=40, blank=True)
    series_name = models.CharField(_("series"), max_length=100, blank=True)
    series_labels = models.JSONField(
        _("labels of the series"),
        default=dict,
        blank=True,
        help_text=_("Only series that have all of these."),
    )
    aggregate = models.CharField(
        _("of the window"),
        max_length=4,
        choices=Aggregate.choices,
        default=Aggregate.LAST,
    )
    window_s = models.PositiveIntegerField(
        _("window (s)"), default=0, help_text=_("0: only the last value.")
    )
    min_sample_count = models.PositiveIntegerField(
        _("at least so many values"),
        default=1,
        help_text=_("A window with fewer says nothing."),
    )
    comparison = models.CharField(
        _("comparison"),
        max_length=5,
        choices=Comparison.choices,
        default=Comparison.ABOVE,
    )
    critical_bound = models.FloatField(_("critical bound"), null=True, blank=True)
    critical_priority = models.CharField(
        _("critical priority"),
        max_length=2,
        choices=Priority.choices,
        default=Priority.P1,
    )
    warning_bound = models.FloatField(_("warning bound"), null=True, blank=True)
    warning_priority = models.CharField(
        _("warning priority"),
        max_length=2,
        choices=Priority.choices,
        default=Priority.P2,
    )
    for_count = models.PositiveIntegerField(
        _("times in a row"),
        default=1,
        help_text=_("It fires once so many values in a row are over the bound."),
    )
    for_s = models.PositiveIntegerField(
        _("for (s)"), default=0, help_text=_("And once it has lasted so long.")
    )
    clear_bound = models.FloatField(
        _("clear value"),
        null=True,
        blank=True,
        help_text=_("It ends once the value is back past this. Empty: the bound."),
    )

    class Meta:
        verbose_name = _("threshold")
        verbose_name_plural = _("thresholds")
        constraints = [
            models.CheckConstraint(
                condition=Q(for_count__gte=1), name="monitors_threshold_count_positive"
            ),
            models.CheckConstraint(
                condition=Q(measure="down")
                | Q(critical_bound__isnull=False)
                | Q(warning_bound__isnull=False),
                name="monitors_threshold_has_a_bound",
            ),
            models.CheckConstraint(
                condition=~Q(measure__in=["series", "no_data"])
                | (~Q(series_name="") & Q(service__isnull=False)),
                name="monitors_threshold_series_has_name_and_service",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ThresholdState(models.Model):
    """Where one threshold stands on one monitor or series. Engine-owned."""

    class Level(models.TextChoices):
        OK = "ok", _("OK")
        WARNING = "warning", _("Warning")
        CRITICAL = "critical", _("Critical")

    threshold = models.ForeignKey(
        Threshold, on_delete=models.CASCADE, related_name="states"
    )
    monitor = models.ForeignKey(
        Monitor, null=True, on_delete=models.CASCADE, related_name="threshold_states"
    )
    series = models.ForeignKey(
        Series, null=True, on_delete=models.CASCADE, related_name="threshold_states"
    )
    level = models.CharField(
        _("level"), max_length=8, choices=Level.choices, default=Level.OK
    )
    since = models.DateTimeField(_("since"))
    value = models.FloatField(_("value"), null=True)
    # The newest measurement judged, so that none is counted twice.
    judged_until = models.DateTimeField(null=True)
    # The newest values in a row over either bound, and those over the critical one.
    breach_count = models.PositiveIntegerField(default=0)
    breach_since = models.DateTimeField(null=True)
    critical_count = models.PositiveIntegerField(default=0)
    critical_since = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("threshold state")
        verbose_name_plural = _("threshold states")
        constraints = [
            models.UniqueConstraint(
                fields=["threshold", "monitor"],
                condition=Q(monitor__isnull=False),
                name="monitors_thresholdstate_once_a_monitor",
            ),
            models.UniqueConstraint(
                fields=["threshold", "series"],
                condition=Q(series__isnull=False),
                name="monitors_thresholdstate_once_a_series",
            ),
            models.CheckConstraint(
                condition=Q(monitor__isnull=False, series__isnull=True)
                | Q(monitor__isnull=True, series__isnull=False),
                name="monitors_thresholdstate_one_subject",
            ),
        ]

    def __str__(self) -> str:
        return f"threshold {self.threshold_id} on {self.monitor_id or self.series_id}"
