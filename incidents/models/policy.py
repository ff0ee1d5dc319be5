"""Whom an incident tells, and after how long whom else."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incidents.models.schedule import Schedule, weekdays
from incidents.models.service import Service
from notifications.models import Channel, Contact
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.wording import duration


class Team(models.Model):
    """People who are told together."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    members = models.ManyToManyField(
        Contact, verbose_name=_("members"), blank=True, related_name="teams"
    )

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")

    def __str__(self) -> str:
        return self.name


class EscalationPolicy(models.Model):
    """Steps that an incident climbs until somebody acknowledges."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    description = models.CharField(_("description"), max_length=200, blank=True)
    ack_expires_s = models.PositiveIntegerField(
        _("acknowledgement expires after (s)"),
        default=0,
        help_text=_(
            "Then it is paged again, unless whoever has it says that they still work "
            "on it. 0: never."
        ),
    )

    class Meta:
        verbose_name = _("escalation policy")
        verbose_name_plural = _("escalation policies")
        constraints = [
            models.CheckConstraint(
                # Below, nobody has the time to look.
                condition=Q(ack_expires_s=0) | Q(ack_expires_s__gte=300),
                name="incidents_escalationpolicy_expiry_at_least_five_minutes",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class EscalationStep(models.Model):
    """Whom one step tells, and when."""

    policy = models.ForeignKey(
        EscalationPolicy,
        verbose_name=_("escalation policy"),
        on_delete=models.CASCADE,
        related_name="steps",
    )
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    after_s = models.PositiveIntegerField(
        _("after (s)"),
        default=0,
        help_text=_("Counted from the start. 0: at once."),
    )
    repeat_s = models.PositiveIntegerField(
        _("page again every (s)"),
        default=0,
        help_text=_("Until somebody acknowledges. 0: tell once."),
    )
    repeat_limit = models.PositiveSmallIntegerField(
        _("how often again"),
        default=0,
        help_text=_("0: until somebody acknowledges."),
    )
    has_mention = models.BooleanField(
        _("mention everyone"), default=False, help_text=_("In Slack: @channel.")
    )
    channels = models.ManyToManyField(
        Channel,
        verbose_name=_("channels"),
        blank=True,
        related_name="escalation_steps",
        help_text=_("Disabled ones are left out."),
    )
    schedules = models.ManyToManyField(
        Schedule,
        verbose_name=_("schedules"),
        blank=True,
        related_name="escalation_steps",
        help_text=_("Whoever is on call at that moment."),
    )
    contacts = models.ManyToManyField(
        Contact, verbose_name=_("people"), blank=True, related_name="escalation_steps"
    )
    teams = models.ManyToManyField(
        Team, verbose_name=_("teams"), blank=True, related_name="escalation_steps"
    )
    only_weekdays = ArrayField(
        models.CharField(max_length=3, choices=weekdays),
        verbose_name=_("only on"),
        default=list,
        blank=True,
        help_text=_("No day chosen: every day."),
    )
    only_from = models.TimeField(_("only from"), null=True, blank=True)
    only_until = models.TimeField(
        _("only until"),
        null=True,
        blank=True,
        help_text=_("Outside of these hours the step waits until they begin."),
    )
    time_zone = models.CharField(_("time zone"), max_length=60, default="Europe/Paris")

    class Meta:
        verbose_name = _("escalation step")
        verbose_name_plural = _("escalation steps")
        ordering = ["position", "pk"]
        constraints = [
            models.CheckConstraint(
                # Below a minute people stop reading.
                condition=Q(repeat_s=0) | Q(repeat_s__gte=60),
                name="incidents_escalationstep_repeat_at_least_a_minute",
            ),
            models.CheckConstraint(
                condition=Q(only_from__isnull=True, only_until__isnull=True)
                | Q(only_from__isnull=False, only_until__isnull=False),
                name="incidents_escalationstep_hours_have_both_ends",
            ),
        ]

    def __str__(self) -> str:
        if not self.after_s:
            return gettext("At once")
        return gettext("After %(duration)s") % {"duration": duration(self.after_s)}

    @property
    def part_label(self) -> str:
        """How the history of its policy names it; it has no words of its own."""
        return f"{self.after_s} s"


class ServicePolicy(models.Model):
    """The policy of one service, in place of what the matrix says."""

    service = models.ForeignKey(
        Service,
        verbose_name=_("service"),
        on_delete=models.CASCADE,
        related_name="policies",
    )
    priority = models.CharField(
        _("priority"),
        max_length=2,
        choices=Priority.choices,
        blank=True,
        help_text=_("Empty: all priorities that have no line of their own."),
    )
    policy = models.ForeignKey(
        EscalationPolicy,
        verbose_name=_("escalation policy"),
        on_delete=models.PROTECT,
        related_name="service_policies",
    )

    class Meta:
        verbose_name = _("policy of a service")
        verbose_name_plural = _("policies of services")
        constraints = [
            models.UniqueConstraint(
                fields=["service", "priority"],
                name="incidents_servicepolicy_one_a_priority",
            ),
            models.CheckConstraint(
                condition=Q(priority__in=["", *Priority.values]),
                name="incidents_servicepolicy_priority_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service_id} {self.priority or '*'}"
