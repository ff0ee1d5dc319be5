"""Who is told the figures, when; and what was sent."""

from __future__ import annotations

from datetime import time

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kpis.models.kpi import Kpi
from notifications.models import Channel, Contact


class DigestPlan(models.Model):
    """A message with the figures. What the admin edits; the engine never writes it."""

    class Cadence(models.TextChoices):
        DAILY = "daily", _("Daily")
        WEEKLY = "weekly", _("Weekly")
        MONTHLY = "monthly", _("Monthly")

    class Weekday(models.IntegerChoices):
        MONDAY = 0, _("Monday")
        TUESDAY = 1, _("Tuesday")
        WEDNESDAY = 2, _("Wednesday")
        THURSDAY = 3, _("Thursday")
        FRIDAY = 4, _("Friday")
        SATURDAY = 5, _("Saturday")
        SUNDAY = 6, _("Sunday")

    name = models.CharField(_("name"), max_length=120, unique=True)
    cadence = models.CharField(
        _("how often"), max_length=8, choices=Cadence.choices, default=Cadence.DAILY
    )
    at = models.TimeField(_("at"), default=time(9, 0))
    weekday = models.PositiveSmallIntegerField(
        _("weekday"),
        choices=Weekday.choices,
        default=0,
        help_text=_("When weekly."),
    )
    # Every month has a 28th.
    day = models.PositiveSmallIntegerField(
        _("day of the month"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(28)],
        help_text=_("When monthly: 1 to 28."),
    )
    time_zone = models.CharField(_("time zone"), max_length=60, default="Europe/Paris")
    audience = models.CharField(
        _("audience"),
        max_length=12,
        choices=Kpi.Audience.choices,
        default=Kpi.Audience.BOTH,
    )
    channels = models.ManyToManyField(
        Channel, verbose_name=_("channels"), blank=True, related_name="+"
    )
    contacts = models.ManyToManyField(
        Contact, verbose_name=_("contacts"), blank=True, related_name="+"
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("digest")
        verbose_name_plural = _("digests")
        constraints = [
            models.CheckConstraint(
                condition=Q(cadence__in=["daily", "weekly", "monthly"]),
                name="kpis_digestplan_cadence_known",
            ),
            models.CheckConstraint(
                condition=Q(audience__in=["executive", "operations", "both"]),
                name="kpis_digestplan_audience_known",
            ),
            models.CheckConstraint(
                condition=Q(weekday__lte=6, day__gte=1, day__lte=28),
                name="kpis_digestplan_day_in_range",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DigestState(models.Model):
    """When a digest is sent next. A plan that is new or edited never owes a past one."""

    plan = models.OneToOneField(
        DigestPlan, primary_key=True, on_delete=models.CASCADE, related_name="state"
    )
    # The timing that `next_at` was reckoned by: an edit reckons it anew.
    timing = models.CharField(max_length=120)
    next_at = models.DateTimeField(_("next"))

    class Meta:
        verbose_name = _("digest state")
        verbose_name_plural = _("digest states")

    def __str__(self) -> str:
        return f"state of digest {self.plan_id}"


class DigestDelivery(models.Model):
    """One digest that was composed: one a plan and local day, whatever happens."""

    plan = models.ForeignKey(
        DigestPlan,
        verbose_name=_("digest"),
        on_delete=models.CASCADE,
        related_name="deliveries",
    )
    # The day in the plan's zone that it stands for.
    local_date = models.DateField(_("day"))
    composed_at = models.DateTimeField(_("composed"))
    is_late = models.BooleanField(_("late"), default=False)
    message_count = models.PositiveIntegerField(_("messages"), default=0)

    class Meta:
        verbose_name = _("sent digest")
        verbose_name_plural = _("sent digests")
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "local_date"], name="kpis_digestdelivery_one_a_day"
            )
        ]

    def __str__(self) -> str:
        return f"{self.plan_id} {self.local_date}"
