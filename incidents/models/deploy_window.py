"""Deploy windows, and the alerts that they hold back. Engine-owned."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from incidents import people
from incidents.models.alert import Alert
from incidents.models.service import Service
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import retold

# No window lasts longer; the database refuses it.
LONGEST = timedelta(minutes=60)


class DeployWindowQuerySet(models.QuerySet["DeployWindow"]):
    """Filters that read aloud."""

    def open(self, *, now: datetime) -> DeployWindowQuerySet:
        """Those that hold back what fires at a moment."""
        return self.filter(ended_at=None, opened_at__lte=now, ends_at__gt=now)


class DeployWindow(models.Model):
    """A short time in which a service is deployed and its alerts wait.

    `incidents.deploy_windows` is the only writer. It is over at `ends_at` whether or not
    anybody has written that down yet (`ended_at`).
    """

    class Cause(models.TextChoices):
        """Why it ended."""

        BOUND = "bound", _("its time was over")
        CLOSED = "closed", _("somebody closed it")
        HEALTHY = "healthy", _("the service was healthy again")
        CLOCK = "clock", _("the portal's clock went back")

    service = models.ForeignKey(
        Service,
        verbose_name=_("service"),
        on_delete=models.PROTECT,
        related_name="deploy_windows",
    )
    reason = models.CharField(_("reason"), max_length=200)
    # What it was opened for, such as "run:12"; pages make a link of it.
    subject = models.CharField(_("opened for"), max_length=100, blank=True)
    opened_at = models.DateTimeField(_("opened"))
    ends_at = models.DateTimeField(_("ends at the latest"))
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("opened by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    # Outlives the account; of the API it is the key's name.
    opened_by_name = models.CharField(max_length=150, blank=True)
    closes_when_healthy = models.BooleanField(_("closes when healthy"), default=True)
    # The latest moment at which the engine saw it open. A clock that shows less has
    # gone back, and would make the window longer than its bound.
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    end_cause = models.CharField(
        _("why it ended"), max_length=8, choices=Cause.choices, blank=True
    )
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("closed by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    ended_by_name = models.CharField(max_length=150, blank=True)

    objects = DeployWindowQuerySet.as_manager()

    class Meta:
        verbose_name = _("deploy window")
        verbose_name_plural = _("deploy windows")
        constraints = [
            models.UniqueConstraint(
                fields=["service"],
                condition=Q(ended_at__isnull=True),
                name="incidents_deploywindow_one_open_a_service",
            ),
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("opened_at"))
                & Q(ends_at__lte=F("opened_at") + LONGEST),
                name="incidents_deploywindow_bounded",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, end_cause="")
                | Q(
                    # What is unknown is no contradiction to PostgreSQL.
                    ended_at__isnull=False,
                    ended_at__gte=F("opened_at"),
                    ended_at__lte=F("ends_at"),
                    end_cause__in=["bound", "closed", "healthy", "clock"],
                ),
                name="incidents_deploywindow_end_has_a_cause",
            ),
        ]
        indexes = [
            models.Index(
                fields=["service", "-opened_at"], name="incidents_window_recent"
            )
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.service_id} {self.opened_at:%Y-%m-%d %H:%M}"

    def is_open_at(self, now: datetime) -> bool:
        """Whether it holds alerts back at a moment."""
        return self.ended_at is None and self.opened_at <= now < self.ends_at

    @property
    def opener(self) -> str:
        """Who opened it, by name; empty for the portal itself. Reads `opened_by`."""
        return people.called(user=self.opened_by, written=self.opened_by_name)

    @property
    def closer(self) -> str:
        """Who closed it, by name; empty when nobody did. Reads `ended_by`."""
        return people.called(user=self.ended_by, written=self.ended_by_name)


class HeldAlertQuerySet(models.QuerySet["HeldAlert"]):
    """Filters that read aloud."""

    def waiting(self) -> HeldAlertQuerySet:
        """Those that fire and have not been raised."""
        return self.filter(status=HeldAlert.Status.HELD)

    def due(self, *, now: datetime) -> HeldAlertQuerySet:
        """Those that wait and whose window is over."""
        return self.waiting().filter(
            Q(window__ended_at__isnull=False) | Q(window__ends_at__lte=now)
        )


class HeldAlert(models.Model):
    """A condition that fired in a deploy window and has no incident yet.

    `incidents.intake` is the only writer: it raises the condition when the window is
    over or the priority rises to P0, or notes that it ended by itself.
    """

    class Status(models.TextChoices):
        HELD = "held", _("Held back")
        RAISED = "raised", _("Raised")
        OVER = "over", pgettext_lazy("held alert", "Over before the window")

    window = models.ForeignKey(
        DeployWindow,
        verbose_name=_("deploy window"),
        on_delete=models.PROTECT,
        related_name="held_alerts",
    )
    dedup_key = models.CharField(_("dedup key"), max_length=200)
    service = models.ForeignKey(
        Service,
        verbose_name=_("service"),
        on_delete=models.PROTECT,
        related_name="held_alerts",
    )
    grouping_key = models.CharField(_("grouping key"), max_length=200, blank=True)
    title = models.CharField(_("title"), max_length=300)
    detail = models.TextField(_("detail"), blank=True)
    priority = models.CharField(_("priority"), max_length=2, choices=Priority.choices)
    source = models.CharField(_("source"), max_length=100, blank=True)
    runbook_url = models.URLField(_("runbook"), blank=True)
    is_public = models.BooleanField(_("public"))
    status = models.CharField(
        _("status"), max_length=8, choices=Status.choices, default=Status.HELD
    )
    # When the condition began, which is before it was held back.
    started_at = models.DateTimeField(_("started"))
    held_at = models.DateTimeField(_("held back since"))
    last_triggered_at = models.DateTimeField(_("last triggered"))
    trigger_count = models.PositiveIntegerField(_("times triggered"), default=1)
    ended_at = models.DateTimeField(_("until"), null=True, blank=True)
    # What it was raised as.
    alert = models.ForeignKey(
        Alert,
        verbose_name=_("alert"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="held_before",
    )

    objects = HeldAlertQuerySet.as_manager()

    class Meta:
        verbose_name = _("alert held back")
        verbose_name_plural = _("alerts held back")
        constraints = [
            models.UniqueConstraint(
                fields=["dedup_key"],
                condition=Q(status="held"),
                name="incidents_heldalert_one_held_a_key",
            ),
            models.CheckConstraint(
                condition=Q(status="held", ended_at__isnull=True, alert__isnull=True)
                | Q(status="raised", ended_at__isnull=False, alert__isnull=False)
                | Q(status="over", ended_at__isnull=False, alert__isnull=True),
                name="incidents_heldalert_end_fits_status",
            ),
            models.CheckConstraint(
                condition=Q(priority__in=Priority.values),
                name="incidents_heldalert_priority_known",
            ),
        ]
        indexes = [
            # The page of what raised it.
            models.Index(fields=["source"], name="incidents_heldalert_source")
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {retold(self.title)}"
