"""What a figure means: its definition, its targets, and what people note about it."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from incidents.models import Service
from kpis.models.source import DataSource
from kpis.reading import VALUE_DECIMALS, VALUE_WHOLE_DIGITS
from kpis.sources import measures
from monitors.validation import PERIODIC_PREFIX
from notifications.models import Contact

VALUE_DIGITS = VALUE_WHOLE_DIGITS + VALUE_DECIMALS
MIN_INTERVAL_S, MAX_INTERVAL_S = 60, 31 * 86_400
MAX_LATENESS_S = 31 * 86_400
MAX_WINDOW = 400
MAX_RECOMPUTE_COUNT = 100
# What is asked of a source, by its kind, and how time is cut: what a value depends on.
ASKED = ("sql", "json_path", "measure", "measure_target")
CALCULATED = (*ASKED, "grain", "window", "time_zone")


def portal_measures() -> list[tuple[str, str]]:
    """What the portal can say of itself; an open set, so no migration."""
    return measures.choices()


class KpiQuerySet(models.QuerySet["Kpi"]):
    """Filters that read aloud."""

    def enabled(self) -> KpiQuerySet:
        """Those that are collected and shown."""
        return self.filter(is_enabled=True)

    def for_audience(self, audience: str) -> KpiQuerySet:
        """Those on the board of an audience."""
        return self.filter(audience__in=[audience, Kpi.Audience.BOTH])

    def in_order(self) -> KpiQuerySet:
        """In the steady order of the board."""
        return self.order_by("position", "name")


class Kpi(models.Model):
    """One figure that managers follow. What the admin edits; the engine never writes it."""

    class Audience(models.TextChoices):
        EXECUTIVE = "executive", _("Executive")
        OPERATIONS = "operations", _("Operations")
        BOTH = "both", _("Both")

    class Direction(models.TextChoices):
        HIGHER = "higher", _("Higher is better")
        LOWER = "lower", _("Lower is better")
        NEUTRAL = "neutral", _("Neither")

    class Grain(models.TextChoices):
        HOUR = "hour", _("Hour")
        DAY = "day", _("Day")
        WEEK = "week", _("Week")
        MONTH = "month", _("Month")

    slug = models.SlugField(_("slug"), max_length=60, unique=True)
    name = models.CharField(_("name"), max_length=120)
    description = models.TextField(
        _("description"),
        blank=True,
        help_text=_("In plain words: what counts, what doesn't."),
    )
    source = models.ForeignKey(
        DataSource,
        verbose_name=_("data source"),
        on_delete=models.PROTECT,
        related_name="kpis",
    )
    service = models.ForeignKey(
        Service,
        verbose_name=_("service"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="kpis",
        help_text=_("Whose incident it opens when it can't be collected."),
    )
    owner = models.ForeignKey(
        Contact,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("Who answers questions about it."),
    )
    audience = models.CharField(
        _("audience"),
        max_length=12,
        choices=Audience.choices,
        default=Audience.BOTH,
    )
    position = models.PositiveSmallIntegerField(_("order"), default=100)
    is_enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("Off: not collected, not shown.")
    )
    unit = models.CharField(
        _("unit"), max_length=20, blank=True, help_text=_("Such as users, %, €.")
    )
    decimals = models.PositiveSmallIntegerField(
        _("decimals"),
        default=0,
        validators=[MaxValueValidator(VALUE_DECIMALS)],
        help_text=_("Digits behind the point that are shown."),
    )
    direction = models.CharField(
        _("direction"),
        max_length=8,
        choices=Direction.choices,
        default=Direction.HIGHER,
    )
    grain = models.CharField(
        _("period"),
        max_length=5,
        choices=Grain.choices,
        default=Grain.DAY,
        help_text=_("One value for each of them."),
    )
    window = models.PositiveSmallIntegerField(
        _("looks back over"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_WINDOW)],
        help_text=_("So many periods: active users of 7 days, each day, is 7."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=60,
        default="Europe/Paris",
        help_text=_("Where its days begin."),
    )
    sql = models.TextField(
        _("SQL"),
        blank=True,
        help_text=_(
            "One SELECT that gives one number, for :start ≤ time < :end. "
            ":tz is the time zone."
        ),
    )
    json_path = models.CharField(
        _("JSON path"),
        max_length=500,
        blank=True,
        help_text=_("JMESPath to the number, such as active_users_7d."),
    )
    measure = models.CharField(
        _("measure"), max_length=30, blank=True, choices=portal_measures
    )
    measure_target = models.CharField(
        _("of"),
        max_length=200,
        blank=True,
        help_text=_("A service's slug or a series' name. Empty: all services."),
    )
    interval_s = models.PositiveIntegerField(
        _("collected every (s)"),
        default=3600,
        validators=[
            MinValueValidator(MIN_INTERVAL_S),
            MaxValueValidator(MAX_INTERVAL_S),
        ],
    )
    lateness_s = models.PositiveIntegerField(
        _("data may be late by (s)"),
        default=0,
        validators=[MaxValueValidator(MAX_LATENESS_S)],
        help_text=_("A period counts as complete so long after its end."),
    )
    recompute_count = models.PositiveSmallIntegerField(
        _("periods computed again"),
        default=2,
        validators=[MaxValueValidator(MAX_RECOMPUTE_COUNT)],
        help_text=_("Each time, for data that came late."),
    )
    stale_after_s = models.PositiveIntegerField(
        _("stale after (s)"),
        default=2 * 3600,
        help_text=_("Without a new value for so long, it is shown as stale."),
    )
    overdue_after_s = models.PositiveIntegerField(
        _("overdue after (s)"),
        default=24 * 3600,
        help_text=_("And as overdue."),
    )

    objects = KpiQuerySet.as_manager()

    class Meta:
        verbose_name = _("KPI")
        verbose_name_plural = _("KPIs")
        permissions = [
            ("run_kpi", _("Can collect at once")),
            ("backfill_kpi", _("Can collect the past")),
            ("enter_value", _("Can enter values by hand")),
            ("view_sql", _("Can see how a value is computed")),
            ("change_sql", _("Can change how a value is computed")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(audience__in=["executive", "operations", "both"]),
                name="kpis_kpi_audience_known",
            ),
            models.CheckConstraint(
                condition=Q(direction__in=["higher", "lower", "neutral"]),
                name="kpis_kpi_direction_known",
            ),
            models.CheckConstraint(
                condition=Q(grain__in=["hour", "day", "week", "month"]),
                name="kpis_kpi_grain_known",
            ),
            models.CheckConstraint(
                condition=Q(window__gte=1, window__lte=MAX_WINDOW),
                name="kpis_kpi_window_in_range",
            ),
            models.CheckConstraint(
                condition=Q(
                    interval_s__gte=MIN_INTERVAL_S, interval_s__lte=MAX_INTERVAL_S
                ),
                name="kpis_kpi_interval_in_range",
            ),
            models.CheckConstraint(
                condition=Q(
                    decimals__lte=VALUE_DECIMALS,
                    lateness_s__lte=MAX_LATENESS_S,
                    recompute_count__lte=MAX_RECOMPUTE_COUNT,
                ),
                name="kpis_kpi_counts_in_range",
            ),
            models.CheckConstraint(
                condition=Q(stale_after_s__gte=1)
                & Q(overdue_after_s__gte=F("stale_after_s")),
                name="kpis_kpi_overdue_not_before_stale",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def series_name(self) -> str:
        """The series of its complete periods, which thresholds judge."""
        return f"{PERIODIC_PREFIX}{self.slug}"


class KpiTarget(models.Model):
    """What a figure should reach from a month on, until a later row says otherwise."""

    kpi = models.ForeignKey(
        Kpi, verbose_name=_("KPI"), on_delete=models.CASCADE, related_name="targets"
    )
    month = models.DateField(
        _("from month"), help_text=_("Its first day. Valid until a later one.")
    )
    value = models.DecimalField(
        _("target"), max_digits=VALUE_DIGITS, decimal_places=VALUE_DECIMALS
    )

    class Meta:
        verbose_name = _("target")
        verbose_name_plural = _("targets")
        constraints = [
            models.UniqueConstraint(
                fields=["kpi", "month"], name="kpis_kpitarget_one_a_month"
            ),
            models.CheckConstraint(
                condition=Q(month__day=1),
                name="kpis_kpitarget_month_begins_on_first",
                violation_error_message=_("Enter the first day of a month."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kpi_id} {self.month:%Y-%m}"


class KpiNote(models.Model):
    """What somebody wrote beside a moment of the curve. Nobody edits it afterwards."""

    kpi = models.ForeignKey(
        Kpi,
        verbose_name=_("KPI"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="notes",
        help_text=_("Empty: stands on all of them."),
    )
    at = models.DateTimeField(_("when"))
    text = models.CharField(_("note"), max_length=300)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("author"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    # As it was: an account that goes leaves the note signed.
    author_name = models.CharField(_("author's name"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("written"))

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        indexes = [models.Index(fields=["kpi", "at"], name="kpis_note_of_kpi")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d} {self.text[:40]}"
