"""What the engine read, when and how. People look at these rows; only it writes them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from kpis.models.kpi import VALUE_DIGITS, Kpi
from kpis.reading import VALUE_DECIMALS


class KpiVersion(models.Model):
    """One way in which a KPI was computed. Never changed: a jump stays explainable.

    Each change of the calculation makes a new one, also back to an earlier one, so the
    highest number is the present one.
    """

    kpi = models.ForeignKey(
        Kpi, verbose_name=_("KPI"), on_delete=models.CASCADE, related_name="versions"
    )
    number = models.PositiveIntegerField(_("number"))
    # All that the value depends on; `kpis.versions` writes it.
    calculation = models.JSONField(_("calculation"))
    fingerprint = models.CharField(max_length=64)
    created_at = models.DateTimeField(_("since"))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_by_name = models.CharField(_("by (name)"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("KPI version")
        verbose_name_plural = _("KPI versions")
        constraints = [
            models.UniqueConstraint(
                fields=["kpi", "number"], name="kpis_kpiversion_number_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kpi_id} v{self.number}"


class KpiRun(models.Model):
    """One time that a source was asked, written when it is over."""

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", pgettext_lazy("why a KPI was read", "Schedule")
        HAND = "hand", _("By hand")
        TEST = "test", pgettext_lazy("why a KPI was read", "Test")
        BACKFILL = "backfill", _("Past periods")
        MANUAL = "manual", _("Entered")

    class Outcome(models.TextChoices):
        OK = "ok", _("Read")
        # The source answered, but there was no number in it.
        UNKNOWN = "unknown", _("No value")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    kpi = models.ForeignKey(
        Kpi, verbose_name=_("KPI"), on_delete=models.CASCADE, related_name="runs"
    )
    version = models.ForeignKey(
        KpiVersion,
        verbose_name=_("version"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    trigger = models.CharField(_("why"), max_length=10, choices=Trigger.choices)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"))
    outcome = models.CharField(_("result"), max_length=10, choices=Outcome.choices)
    # A code of `kpis.reading`, empty when all went well, and the same in words.
    reason = models.CharField(_("reason"), max_length=30, blank=True)
    message = models.TextField(_("message"), blank=True)
    # What the source itself said, for those who may see how the value is computed.
    detail = models.TextField(_("detail"), blank=True)
    point_count = models.PositiveIntegerField(_("values"), default=0)
    duration_ms = models.PositiveIntegerField(_("duration (ms)"), default=0)
    # Which SQL it was, without showing it.
    sql_sha256 = models.CharField(_("SQL (SHA-256)"), max_length=64, blank=True)
    parameters = models.JSONField(_("parameters"), default=dict, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    user_name = models.CharField(_("by (name)"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("KPI run")
        verbose_name_plural = _("KPI runs")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    trigger__in=["schedule", "hand", "test", "backfill", "manual"]
                ),
                name="kpis_kpirun_trigger_known",
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["ok", "unknown", "failed", "cancelled"]),
                name="kpis_kpirun_outcome_known",
            ),
        ]
        indexes = [
            models.Index(fields=["kpi", "-started_at"], name="kpis_run_of_kpi"),
            # For whoever clears old runs away.
            models.Index(fields=["started_at"], name="kpis_run_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kpi_id} {self.started_at:%Y-%m-%d %H:%M:%S} {self.outcome}"


class KpiPoint(models.Model):
    """The value of one period. A period without a row is unknown, never zero."""

    kpi = models.ForeignKey(
        Kpi, verbose_name=_("KPI"), on_delete=models.CASCADE, related_name="points"
    )
    version = models.ForeignKey(
        KpiVersion,
        verbose_name=_("version"),
        on_delete=models.CASCADE,
        related_name="points",
    )
    # Half-open, in UTC; its borders are those of the KPI's own zone.
    start = models.DateTimeField(_("from"))
    end = models.DateTimeField(_("to"))
    value = models.DecimalField(
        _("value"), max_digits=VALUE_DIGITS, decimal_places=VALUE_DECIMALS
    )
    # Read after the period had ended and its late data had come.
    is_complete = models.BooleanField(_("complete"), default=False)
    # What the period before had come to by the same time of it; while incomplete.
    before_value = models.DecimalField(
        _("before, by the same time"),
        max_digits=VALUE_DIGITS,
        decimal_places=VALUE_DECIMALS,
        null=True,
        blank=True,
    )
    computed_at = models.DateTimeField(_("computed"))
    run = models.ForeignKey(
        KpiRun,
        verbose_name=_("run"),
        null=True,
        blank=True,
        # Runs are cleared away, values are kept.
        on_delete=models.SET_NULL,
        related_name="+",
    )
    # Manual entry: who says so.
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("entered by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    class Meta:
        verbose_name = _("KPI value")
        verbose_name_plural = _("KPI values")
        constraints = [
            models.UniqueConstraint(
                fields=["version", "start"], name="kpis_kpipoint_one_a_period"
            ),
            models.CheckConstraint(
                condition=Q(end__gt=F("start")), name="kpis_kpipoint_has_length"
            ),
        ]
        indexes = [models.Index(fields=["kpi", "-start"], name="kpis_point_of_kpi")]

    def __str__(self) -> str:
        return f"{self.kpi_id} {self.start:%Y-%m-%d %H:%M} {self.value}"


class KpiState(models.Model):
    """How the collection of a KPI stands."""

    kpi = models.OneToOneField(
        Kpi, primary_key=True, on_delete=models.CASCADE, related_name="state"
    )
    next_run_at = models.DateTimeField(_("next"))
    failure_count = models.PositiveIntegerField(_("failures in a row"), default=0)
    failing_since = models.DateTimeField(_("failing since"), null=True)
    # The last time that a value was read.
    last_ok_at = models.DateTimeField(_("last value"), null=True)
    # Of the last run, empty when it brought a value.
    last_reason = models.CharField(_("reason"), max_length=30, blank=True)
    last_message = models.TextField(_("message"), blank=True)
    has_alerted = models.BooleanField(_("alert raised"), default=False)

    class Meta:
        verbose_name = _("KPI state")
        verbose_name_plural = _("KPI states")
        indexes = [models.Index(fields=["next_run_at"], name="kpis_state_due")]

    def __str__(self) -> str:
        return f"state of KPI {self.kpi_id}"


class Backfill(models.Model):
    """Past periods that are being read, oldest first."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        CANCELLED = "cancelled", _("Cancelled")
        FAILED = "failed", _("Failed")

    ACTIVE = (Status.QUEUED, Status.RUNNING)

    kpi = models.ForeignKey(
        Kpi, verbose_name=_("KPI"), on_delete=models.CASCADE, related_name="backfills"
    )
    version = models.ForeignKey(
        KpiVersion,
        verbose_name=_("version"),
        on_delete=models.CASCADE,
        related_name="+",
    )
    since = models.DateTimeField(_("from"))
    until = models.DateTimeField(_("to"))
    # The first period that is still to be read.
    next_start = models.DateTimeField(_("next"))
    done_count = models.PositiveIntegerField(_("done"), default=0)
    total_count = models.PositiveIntegerField(_("of"), default=0)
    status = models.CharField(
        _("state"), max_length=10, choices=Status.choices, default=Status.QUEUED
    )
    # Batches in a row that failed for a reason that passes.
    try_count = models.PositiveSmallIntegerField(default=0)
    message = models.TextField(_("message"), blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("asked for by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    requested_by_name = models.CharField(
        _("asked for by (name)"), max_length=200, blank=True
    )
    created_at = models.DateTimeField(_("asked for"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("backfill")
        verbose_name_plural = _("backfills")
        constraints = [
            models.UniqueConstraint(
                fields=["kpi"],
                condition=Q(status__in=["queued", "running"]),
                name="kpis_backfill_one_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=["queued", "running", "done", "cancelled", "failed"]
                ),
                name="kpis_backfill_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running"], finished_at__isnull=True)
                | Q(
                    status__in=["done", "cancelled", "failed"],
                    finished_at__isnull=False,
                ),
                name="kpis_backfill_over_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(until__gt=F("since")), name="kpis_backfill_has_length"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kpi_id} {self.since:%Y-%m-%d} – {self.until:%Y-%m-%d}"

    @property
    def is_active(self) -> bool:
        """Whether there is still something to do."""
        return self.status in self.ACTIVE
