"""Who takes turns: what people edit about schedules."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from notifications.models import Contact
from t4g_portal.lib.secrets import EncryptedTextField

MAX_NOTICE_S = 14 * 86_400


class Schedule(models.Model):
    """A duty that people take turns at, such as “On call”. Policies page it by name."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    slug = models.SlugField(_("short name"), max_length=60, unique=True)
    description = models.TextField(_("description"), blank=True)
    time_zone = models.CharField(
        _("time zone"),
        max_length=60,
        default="Europe/Paris",
        help_text=_("Its turns begin and end on the clock there."),
    )
    is_continuous = models.BooleanField(
        _("round the clock"),
        default=True,
        help_text=_("Somebody must always be on call. Off: time without is meant."),
    )
    handoff_notice_s = models.PositiveIntegerField(
        _("handoff notice (s)"),
        default=86_400,
        help_text=_(
            "Who comes and who goes are told so long before. 0: nobody is told."
        ),
    )
    # Whoever knows the address can read the calendar.
    ical_url = EncryptedTextField(
        _("calendar to import"),
        blank=True,
        help_text=_(
            "An iCalendar address. Its events go before the rotations; a person is "
            "found by name or e-mail address."
        ),
    )

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        constraints = [
            models.CheckConstraint(
                condition=Q(handoff_notice_s__lte=MAX_NOTICE_S),
                name="incidents_schedule_notice_two_weeks_at_most",
            )
        ]
        permissions = [
            # For oneself: take a shift, swap one, be absent.
            ("take_shift", "Can take, swap and leave shifts"),
        ]

    def __str__(self) -> str:
        return self.name


def weekdays() -> list[tuple[str, str]]:
    """The days of the week, as a rotation names them."""
    return [
        ("mon", str(_("Monday"))),
        ("tue", str(_("Tuesday"))),
        ("wed", str(_("Wednesday"))),
        ("thu", str(_("Thursday"))),
        ("fri", str(_("Friday"))),
        ("sat", str(_("Saturday"))),
        ("sun", str(_("Sunday"))),
    ]


class Rotation(models.Model):
    """A layer of a schedule: people who take turns, perhaps only at some hours."""

    class Unit(models.TextChoices):
        HOUR = "hour", _("hours")
        DAY = "day", _("days")
        WEEK = "week", _("weeks")

    schedule = models.ForeignKey(
        Schedule,
        verbose_name=_("schedule"),
        on_delete=models.CASCADE,
        related_name="rotations",
    )
    name = models.CharField(_("name"), max_length=120)
    position = models.PositiveSmallIntegerField(
        _("layer"),
        default=0,
        help_text=_("Where several rotations hold, the highest wins."),
    )
    length = models.PositiveSmallIntegerField(_("length of a turn"), default=1)
    unit = models.CharField(
        _("counted in"), max_length=4, choices=Unit.choices, default=Unit.WEEK
    )
    starts_on = models.DateField(
        _("first day"), help_text=_("The first person's turn begins on this day.")
    )
    handoff_time = models.TimeField(
        _("handoff at"), help_text=_("On the clock of the schedule's time zone.")
    )
    ends_on = models.DateField(
        _("last day"),
        null=True,
        blank=True,
        help_text=_("It ends at the handoff of this day. Empty: it goes on."),
    )
    only_weekdays = ArrayField(
        models.CharField(max_length=3, choices=weekdays),
        verbose_name=_("only on"),
        default=list,
        blank=True,
        help_text=_("Nothing chosen: every day."),
    )
    only_from = models.TimeField(
        _("only from"), null=True, blank=True, help_text=_("Empty: the whole day.")
    )
    only_until = models.TimeField(
        _("only until"),
        null=True,
        blank=True,
        help_text=_("Earlier than the beginning: on the next day."),
    )
    contacts: models.ManyToManyField[Contact, Participant] = models.ManyToManyField(
        Contact, through="Participant", related_name="rotations"
    )

    class Meta:
        verbose_name = _("rotation")
        verbose_name_plural = _("rotations")
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "name"],
                name="incidents_rotation_name_once_a_schedule",
            ),
            models.CheckConstraint(
                condition=Q(length__gte=1), name="incidents_rotation_length_positive"
            ),
            models.CheckConstraint(
                condition=Q(unit__in=["hour", "day", "week"]),
                name="incidents_rotation_unit_known",
            ),
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gt=F("starts_on")),
                name="incidents_rotation_ends_after_it_starts",
            ),
            models.CheckConstraint(
                condition=Q(only_from__isnull=True, only_until__isnull=True)
                | Q(only_from__isnull=False, only_until__isnull=False),
                name="incidents_rotation_hours_have_two_ends",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def contact_ids(self) -> list[int]:
        """Who takes turns, in order; somebody with two seats stands here twice."""
        return [seat.contact_id for seat in self.participants.all()]


class Participant(models.Model):
    """One seat of a rotation. Whoever has two has two turns a round.

    A contact with a seat can't be deleted: the turns of all others would move.
    """

    rotation = models.ForeignKey(
        Rotation,
        verbose_name=_("rotation"),
        on_delete=models.CASCADE,
        related_name="participants",
    )
    contact = models.ForeignKey(
        Contact,
        verbose_name=_("person"),
        on_delete=models.PROTECT,
        related_name="participations",
    )
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("participant")
        verbose_name_plural = _("participants")
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return f"{self.position + 1}. #{self.contact_id}"
