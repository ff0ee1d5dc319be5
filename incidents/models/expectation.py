"""What must stay true of the road to people: a saved question to the simulator."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from incidents.models.policy import EscalationPolicy, Team
from incidents.models.schedule import Schedule, weekdays
from incidents.models.service import Service
from notifications.models import Channel, Contact
from notifications.models.contact import method_kinds
from t4g_portal.lib.priority import Priority

MIN_WITHIN_S, MAX_WITHIN_S = 60, 4 * 3600


class ReachExpectation(models.Model):
    """If it broke then, so-and-so would be told in time. What the admin edits; the engine
    never writes it.
    """

    class Occasion(models.TextChoices):
        """When it is imagined to break."""

        ALWAYS = "always", _("At any moment")
        WEEKLY = "weekly", _("Every week")
        ONCE = "once", _("Once")

    # Whom it can name; at most one, none: whoever it may be.
    WHOM = ("contact", "schedule", "team", "channel")

    name = models.CharField(_("name"), max_length=120, unique=True)
    service = models.ForeignKey(
        Service,
        verbose_name=_("service"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text=_("What breaks. It takes the policy that a real incident would."),
    )
    policy = models.ForeignKey(
        EscalationPolicy,
        verbose_name=_("escalation policy"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("In place of a service: this policy, whoever follows it."),
    )
    priority = models.CharField(
        _("priority"), max_length=2, choices=Priority.choices, default=Priority.P0
    )
    occasion = models.CharField(
        _("when"), max_length=10, choices=Occasion.choices, default=Occasion.ALWAYS
    )
    at = models.DateTimeField(
        _("moment"), null=True, blank=True, help_text=_("For “once”.")
    )
    weekday = models.CharField(
        _("weekday"),
        max_length=3,
        choices=weekdays,
        blank=True,
        help_text=_("For “every week”."),
    )
    clock = models.TimeField(
        _("time"), null=True, blank=True, help_text=_("For “every week”.")
    )
    time_zone = models.CharField(_("time zone"), max_length=60, default="Europe/Paris")
    contact = models.ForeignKey(
        Contact,
        verbose_name=_("person"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("No person, schedule, team or channel: somebody is told."),
    )
    schedule = models.ForeignKey(
        Schedule,
        verbose_name=_("schedule"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Whoever is on call then."),
    )
    team = models.ForeignKey(
        Team,
        verbose_name=_("team"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Each of its members."),
    )
    channel = models.ForeignKey(
        Channel,
        verbose_name=_("channel"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    method = models.CharField(
        _("by"),
        max_length=20,
        choices=method_kinds,
        blank=True,
        help_text=_("Empty: by any way."),
    )
    within_s = models.PositiveIntegerField(
        _("within (s)"),
        default=300,
        validators=[MinValueValidator(MIN_WITHIN_S), MaxValueValidator(MAX_WITHIN_S)],
        help_text=_("Counted from the opening of the incident."),
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("expectation")
        verbose_name_plural = _("expectations")
        constraints = [
            models.CheckConstraint(
                condition=Q(service__isnull=True, policy__isnull=False)
                | Q(service__isnull=False, policy__isnull=True),
                name="incidents_reachexpectation_of_service_or_policy",
            ),
            models.CheckConstraint(
                condition=Q(priority__in=Priority.values),
                name="incidents_reachexpectation_priority_known",
            ),
            models.CheckConstraint(
                condition=Q(occasion="always", at=None, clock=None, weekday="")
                | (Q(occasion="weekly", at=None, clock__isnull=False) & ~Q(weekday=""))
                | Q(occasion="once", at__isnull=False, clock=None, weekday=""),
                name="incidents_reachexpectation_occasion_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(contact=None, schedule=None, team=None)
                | Q(contact=None, schedule=None, channel=None)
                | Q(contact=None, team=None, channel=None)
                | Q(schedule=None, team=None, channel=None),
                name="incidents_reachexpectation_names_one_at_most",
            ),
            models.CheckConstraint(
                condition=Q(within_s__gte=MIN_WITHIN_S, within_s__lte=MAX_WITHIN_S),
                name="incidents_reachexpectation_within_hours",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ReachExpectationState(models.Model):
    """Whether an expectation holds. Engine-owned: `incidents.expectations.keeping`."""

    class Status(models.TextChoices):
        KEPT = "kept", _("Holds")
        BROKEN = "broken", _("Doesn't hold")
        # Its one moment is over.
        PAST = "past", _("Over")

    class Reason(models.TextChoices):
        """Why it doesn't hold."""

        DIGEST = (
            "digest",
            _("It waits for the daily digest, so nobody is told at once."),
        )
        NOBODY = "nobody", _("Nobody at all is told in this time.")
        OTHERS = "others", _("Others are told in this time.")
        UNOWNED = "unowned", _("There is nobody whom it means: no shift, no member.")

    expectation = models.OneToOneField(
        ReachExpectation,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="state",
    )
    status = models.CharField(max_length=10, choices=Status.choices)
    since = models.DateTimeField()
    judged_at = models.DateTimeField()
    # The moment that decided: the first that fails, else the next one.
    opens_at = models.DateTimeField()
    # When whoever it names would be told of that; None: not in time.
    told_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=10, choices=Reason.choices, blank=True)

    class Meta:
        verbose_name = _("state of an expectation")
        verbose_name_plural = _("states of expectations")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["kept", "broken", "past"]),
                name="incidents_reachexpectationstate_status_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.expectation_id} {self.status}"
