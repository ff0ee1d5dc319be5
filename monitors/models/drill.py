"""Rehearsals: a synthetic failure that takes the real road to the people on call."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incidents import people
from incidents.models import EscalationPolicy, Incident
from monitors.models.monitor import Monitor
from t4g_portal.lib.priority import Priority


class DrillPlan(models.Model):
    """A drill that runs by itself. What the admin edits; the engine never writes it."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    monitor = models.ForeignKey(
        Monitor,
        verbose_name=_("monitor"),
        on_delete=models.CASCADE,
        related_name="drill_plans",
        help_text=_("What pretends to be down. Its figures are not touched."),
    )
    priority = models.CharField(
        _("priority"), max_length=2, choices=Priority.choices, default=Priority.P0
    )
    policy = models.ForeignKey(
        EscalationPolicy,
        verbose_name=_("escalation policy"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Empty: the one that a real incident would take."),
    )
    schedule = models.CharField(
        _("when"),
        max_length=100,
        help_text=_(
            "Minute, hour, day, month, weekday, as in crontab: "
            "“0 10 * * mon” is every Monday at 10:00."
        ),
    )
    time_zone = models.CharField(_("time zone"), max_length=60, default="Europe/Paris")
    give_up_after_s = models.PositiveIntegerField(
        _("ends after (s)"),
        default=1800,
        help_text=_("Failed when nobody has acknowledged by then."),
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("drill plan")
        verbose_name_plural = _("drill plans")
        constraints = [
            models.CheckConstraint(
                condition=Q(priority__in=Priority.values),
                name="monitors_drillplan_priority_known",
            ),
            models.CheckConstraint(
                condition=Q(give_up_after_s__gte=60, give_up_after_s__lte=14_400),
                name="monitors_drillplan_ends_within_hours",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DrillPlanState(models.Model):
    """Since when the engine follows a plan as it is: nothing earlier is due."""

    plan = models.OneToOneField(
        DrillPlan, primary_key=True, on_delete=models.CASCADE, related_name="state"
    )
    # The schedule and the zone that were seen.
    followed = models.CharField(max_length=200)
    since = models.DateTimeField()

    class Meta:
        verbose_name = _("drill plan state")
        verbose_name_plural = _("drill plan states")

    def __str__(self) -> str:
        return f"{self.plan_id} {self.followed}"


class Drill(models.Model):
    """One rehearsal and what it proved. Engine-owned: only `monitors.drills` writes it."""

    class Status(models.TextChoices):
        RUNNING = "running", _("Running")
        # Acknowledged, and nothing that left has failed.
        PROVEN = "proven", _("Proven")
        # Acknowledged, but some way of telling failed.
        PARTLY = "partly", _("Proven in part")
        FAILED = "failed", _("Failed")
        STOPPED = "stopped", _("Stopped")

    plan = models.ForeignKey(
        DrillPlan,
        verbose_name=_("plan"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="drills",
    )
    # The moment of the plan that it stands for; one drill each.
    due_at = models.DateTimeField(null=True, blank=True)
    monitor = models.ForeignKey(
        Monitor,
        verbose_name=_("monitor"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="drills",
    )
    # As they were: what is renamed or deleted later leaves the report as it is.
    monitor_name = models.CharField(_("monitor's name"), max_length=200)
    policy_name = models.CharField(_("policy's name"), max_length=120, blank=True)
    priority = models.CharField(_("priority"), max_length=2, choices=Priority.choices)
    incident = models.OneToOneField(
        Incident,
        verbose_name=_("incident"),
        on_delete=models.PROTECT,
        related_name="drill",
    )
    started_at = models.DateTimeField(_("started"))
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("started by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    ends_by = models.DateTimeField(_("ends by"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    status = models.CharField(
        _("result"), max_length=12, choices=Status.choices, default=Status.RUNNING
    )
    # A `monitors.drills.reports.Report` as JSON, kept at the end and when it is signed.
    report = models.JSONField(default=dict, blank=True)
    signed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("signed by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    signed_at = models.DateTimeField(_("signed"), null=True, blank=True)
    remark = models.TextField(_("remark"), blank=True)

    class Meta:
        verbose_name = _("drill")
        verbose_name_plural = _("drills")
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "due_at"], name="monitors_drill_one_a_due_time"
            ),
            models.CheckConstraint(
                condition=Q(status="running", ended_at__isnull=True)
                | (~Q(status="running") & Q(ended_at__isnull=False)),
                name="monitors_drill_ended_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=["running", "proven", "partly", "failed", "stopped"]
                ),
                name="monitors_drill_status_known",
            ),
            models.CheckConstraint(
                condition=Q(signed_by__isnull=True, signed_at__isnull=True)
                | Q(signed_by__isnull=False, signed_at__isnull=False),
                name="monitors_drill_signature_has_a_time",
            ),
        ]
        indexes = [models.Index(fields=["-started_at"], name="monitors_drill_recent")]
        permissions = [("run_drill", "Can run a drill, which pages people")]

    def __str__(self) -> str:
        return f"#{self.pk} {self.monitor_name}"

    def get_absolute_url(self) -> str:
        """Return the address of its report."""
        return reverse("drills:detail", args=[self.pk])

    @property
    def signer(self) -> str:
        """Who signed the report, by name; empty when nobody has. Reads `signed_by`."""
        return people.called(user=self.signed_by, written="")

    @property
    def look(self) -> str:
        """The status of monitors whose icon and color it shares."""
        return {
            self.Status.RUNNING: "maintenance",
            self.Status.PROVEN: "up",
            self.Status.PARTLY: "degraded",
            self.Status.FAILED: "down",
        }.get(self.Status(self.status), "unknown")
