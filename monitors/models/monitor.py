"""What is watched. The admin edits these rows; the engine never writes them."""

from __future__ import annotations

import secrets

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from incidents.models import Service
from monitors.probes import registry
from t4g_portal.lib.secrets import EncryptedTextField


def new_ping_key() -> str:
    """Return an unguessable part of a heartbeat address (132 bits)."""
    return secrets.token_urlsafe(16)


class MonitorQuerySet(models.QuerySet["Monitor"]):
    """Filters that read aloud."""

    def enabled(self) -> MonitorQuerySet:
        """Neither switched off nor paused."""
        return self.filter(is_enabled=True)

    def for_pages(self) -> MonitorQuerySet:
        """With what every list and page shows: service and state in one query."""
        return self.select_related("service", "state")


class Monitor(models.Model):
    """A configured watch on a target."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    service = models.ForeignKey(
        Service,
        verbose_name=_("service"),
        on_delete=models.PROTECT,
        related_name="monitors",
    )
    kind = models.CharField(_("kind"), max_length=30, choices=registry.choices)
    target = models.CharField(
        _("target"),
        max_length=500,
        blank=True,
        help_text=_("A URL, a host name with port, or a host name; by kind."),
    )
    # The kind's own settings; `monitors.probes.registry` knows and checks them.
    options = models.JSONField(_("options"), default=dict, blank=True)
    secret = EncryptedTextField(
        _("password or token"),
        blank=True,
        help_text=_("For targets that ask who we are. Never shown again."),
    )
    interval_s = models.PositiveIntegerField(_("interval (s)"), default=60)
    timeout_s = models.FloatField(_("timeout (s)"), default=10)
    failures_to_down = models.PositiveSmallIntegerField(
        _("failures until down"),
        default=3,
        help_text=_("So many failures in a row, and it counts as down."),
    )
    successes_to_up = models.PositiveSmallIntegerField(
        _("successes until up"),
        default=2,
        help_text=_("So many successes in a row, and it counts as up again."),
    )
    retry_interval_s = models.PositiveIntegerField(
        _("retry interval (s)"),
        default=20,
        help_text=_("How soon to ask again while a change is unconfirmed."),
    )
    tags = ArrayField(
        models.CharField(max_length=40),
        verbose_name=_("tags"),
        default=list,
        blank=True,
        help_text=_("Separated by commas."),
    )
    runbook_url = models.URLField(_("runbook"), blank=True)
    may_use_private_targets = models.BooleanField(
        _("may reach private networks"),
        default=False,
        help_text=_("Those that EGRESS_ALLOWED_NETWORKS lists."),
    )
    is_enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("Off: paused, its time counts nowhere.")
    )
    counts_for_service = models.BooleanField(
        _("counts for its service"),
        default=True,
        # So that a portal of before this column can still add a monitor.
        db_default=True,
        help_text=_(
            "Off: it pages, but its service is not called down or degraded for it, on"
            " the overview and on the status page. For a backup, say."
        ),
    )
    # The last part of a heartbeat's address.
    ping_key = models.CharField(
        _("ping key"), max_length=40, unique=True, default=new_ping_key
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    # Raised by a trigger at each change of the row or of its assertions; the engine's
    # parsed copy is good as long as this stays.
    revision = models.BigIntegerField(default=0, editable=False)

    objects = MonitorQuerySet.as_manager()

    class Meta:
        verbose_name = _("monitor")
        verbose_name_plural = _("monitors")
        permissions = [
            ("use_private_targets", _("Can watch private networks")),
            ("probe_now", _("Can probe at once")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(interval_s__gte=1, interval_s__lte=86_400 * 366),
                name="monitors_monitor_interval_in_range",
            ),
            models.CheckConstraint(
                condition=Q(timeout_s__gt=0, timeout_s__lte=120),
                name="monitors_monitor_timeout_in_range",
            ),
            models.CheckConstraint(
                condition=Q(failures_to_down__gte=1, successes_to_up__gte=1),
                name="monitors_monitor_counts_at_least_one",
            ),
            models.CheckConstraint(
                condition=Q(retry_interval_s__gte=1)
                & Q(retry_interval_s__lte=F("interval_s")),
                name="monitors_monitor_retry_within_interval",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_heartbeat(self) -> bool:
        """Whether the target calls us instead of we it."""
        return self.kind == "heartbeat"


class Assertion(models.Model):
    """One expectation on what the probe of a monitor sees."""

    monitor = models.ForeignKey(
        Monitor,
        verbose_name=_("monitor"),
        on_delete=models.CASCADE,
        related_name="assertions",
    )
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    subject = models.CharField(_("subject"), max_length=20)
    operator = models.CharField(_("comparison"), max_length=20)
    argument = models.CharField(
        _("of"),
        max_length=200,
        blank=True,
        help_text=_("Header name, or JMESPath such as services.db"),
    )
    expected = models.CharField(_("expected"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("assertion")
        verbose_name_plural = _("assertions")

    def __str__(self) -> str:
        return f"{self.monitor_id}.{self.position} {self.subject} {self.operator}"
