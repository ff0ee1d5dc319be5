"""What the engine knows of a monitor: its slot, its state, its ledger.

Apart from `Monitor`, so that a saved form can't undo a status (design §5.6).
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from monitors.models.monitor import Monitor
from monitors.status import Status


class ProbeSlot(models.Model):
    """When a monitor is asked next, and who is on it.

    Rewritten at every check, so it is narrow and has no index beside its key: each
    update stays on its page (HOT).
    """

    monitor = models.OneToOneField(
        Monitor, primary_key=True, on_delete=models.CASCADE, related_name="slot"
    )
    next_slot_at = models.DateTimeField()
    # The slot claimed last. Without a result by `lease_until` it was lost, and
    # `watching.free_lost_slots` makes the monitor due again.
    slot_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("probe slot")
        verbose_name_plural = _("probe slots")

    def __str__(self) -> str:
        return f"slot of monitor {self.monitor_id}"


class MonitorState(models.Model):
    """How a monitor is now."""

    monitor = models.OneToOneField(
        Monitor, primary_key=True, on_delete=models.CASCADE, related_name="state"
    )
    # What pages show and the ledger counts.
    status = models.CharField(
        _("status"), max_length=12, choices=Status.choices, default=Status.PENDING
    )
    since = models.DateTimeField(_("since"))
    reason = models.SmallIntegerField(_("reason"), default=0)
    message = models.TextField(_("message"), blank=True)
    # What the probes confirmed, below maintenance and pause: pending, up, down, unknown.
    confirmed = models.CharField(
        max_length=12, choices=Status.choices, default=Status.PENDING
    )
    confirmed_since = models.DateTimeField()
    # A threshold other than "down" fires: up counts as degraded.
    is_degraded = models.BooleanField(default=False)
    is_flapping = models.BooleanField(_("flapping"), default=False)
    # One bit a result, the newest lowest, set where it differed from the one before.
    change_bits = models.IntegerField(default=0)
    failure_count = models.PositiveIntegerField(_("failures in a row"), default=0)
    success_count = models.PositiveIntegerField(_("successes in a row"), default=0)
    first_failure_at = models.DateTimeField(null=True)
    first_success_at = models.DateTimeField(null=True)
    last_result_at = models.DateTimeField(_("last result"), null=True)
    last_passed_at = models.DateTimeField(_("last success"), null=True)
    last_latency_ms = models.FloatField(_("latency (ms)"), null=True)
    # The newest result's code and words, confirmed or not.
    last_code = models.SmallIntegerField(default=0)
    last_message = models.TextField(blank=True)
    # Up to then the last result speaks for the monitor; later is unknown.
    fresh_until = models.DateTimeField(null=True)
    # Why it can't be probed at all, in words; empty when it can.
    configuration_error = models.TextField(_("misconfigured"), blank=True)
    certificate = models.JSONField(null=True)
    certificate_expires_at = models.DateTimeField(null=True)
    facts = models.JSONField(default=dict)
    # Heartbeats only.
    last_ping_at = models.DateTimeField(_("last ping"), null=True)
    run_started_at = models.DateTimeField(null=True)
    # We ourselves were away up to then, so a ping may have been lost.
    away_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("monitor state")
        verbose_name_plural = _("monitor states")

    def __str__(self) -> str:
        return f"state of monitor {self.monitor_id}: {self.status}"


class StatusInterval(models.Model):
    """One stretch of time in one status: the ledger that uptime is computed from.

    Kept for ever. The intervals of a monitor touch and never overlap; one is open.
    """

    monitor = models.ForeignKey(
        Monitor, on_delete=models.CASCADE, related_name="intervals"
    )
    status = models.CharField(_("status"), max_length=12, choices=Status.choices)
    started_at = models.DateTimeField(_("from"))
    ended_at = models.DateTimeField(_("to"), null=True, blank=True)
    reason = models.SmallIntegerField(_("reason"), default=0)
    message = models.TextField(_("message"), blank=True)

    class Meta:
        verbose_name = _("status interval")
        verbose_name_plural = _("status ledger")
        constraints = [
            models.UniqueConstraint(
                fields=["monitor"],
                condition=Q(ended_at__isnull=True),
                name="monitors_statusinterval_one_open",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gt=F("started_at")),
                name="monitors_statusinterval_has_length",
            ),
            models.CheckConstraint(
                condition=Q(status__in=Status.values),
                name="monitors_statusinterval_status_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["monitor", "started_at"], name="monitors_interval_of_monitor"
            ),
            # Windows and pauses that have just ended: what was measured in them
            # counts for no threshold.
            models.Index(
                fields=["ended_at"],
                condition=Q(status__in=[Status.MAINTENANCE, Status.PAUSED]),
                name="monitors_interval_quiet",
            ),
        ]

    def __str__(self) -> str:
        return (
            f"{self.monitor_id} {self.status} from {self.started_at:%Y-%m-%d %H:%M:%S}"
        )
