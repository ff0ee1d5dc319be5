"""What the engine keeps of schedules: the past, imported shifts, feeds."""

from __future__ import annotations

import secrets

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from incidents.models.schedule import Schedule
from notifications.models import Contact


class ScheduleState(models.Model):
    """How far the engine has come with a schedule, and how its import fares."""

    schedule = models.OneToOneField(
        Schedule, primary_key=True, on_delete=models.CASCADE, related_name="state"
    )
    # Until then the past is settled: `OnCallRecord` says who was on call.
    recorded_until = models.DateTimeField(null=True)
    fetched_at = models.DateTimeField(_("last import"), null=True)
    failed_at = models.DateTimeField(_("last failed import"), null=True)
    failure_count = models.PositiveIntegerField(default=0)
    error = models.TextField(_("error"), blank=True)
    # SHA-256 of the calendar in use, and of one that waits for a click.
    digest = models.CharField(max_length=64, blank=True)
    held_digest = models.CharField(max_length=64, blank=True)
    held_lost_count = models.PositiveIntegerField(default=0)
    # Summaries of events whose person is unknown here.
    strangers = models.JSONField(default=list, blank=True)

    class Meta:
        verbose_name = _("state of a schedule")
        verbose_name_plural = _("states of schedules")

    def __str__(self) -> str:
        return f"state of schedule {self.schedule_id}"


class ImportedShift(models.Model):
    """A shift of an imported calendar: the last good copy of it."""

    schedule = models.ForeignKey(
        Schedule, on_delete=models.CASCADE, related_name="imported_shifts"
    )
    contact = models.ForeignKey(
        Contact, on_delete=models.CASCADE, related_name="imported_shifts"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    summary = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = _("imported shift")
        verbose_name_plural = _("imported shifts")
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")),
                name="incidents_importedshift_ends_after_it_starts",
            )
        ]
        indexes = [
            models.Index(fields=["schedule", "ends_at"], name="incidents_imported_ends")
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class OnCallRecord(models.Model):
    """Who was on call. No edit of a schedule or a person changes it, nor their deletion.

    The database lets a record grow at its end, and nothing else.
    """

    # Plain numbers and names: what they point at may be gone.
    schedule_number = models.BigIntegerField()
    schedule_name = models.CharField(_("schedule"), max_length=120)
    contact_number = models.BigIntegerField(null=True)
    # Empty: nobody.
    contact_name = models.CharField(_("person"), max_length=120, blank=True)
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    why = models.CharField(_("why"), max_length=12)
    label = models.CharField(_("through"), max_length=200, blank=True)
    source_number = models.BigIntegerField(null=True)
    instead_of_number = models.BigIntegerField(null=True)
    instead_of_name = models.CharField(_("instead of"), max_length=120, blank=True)

    class Meta:
        verbose_name = _("on-call record")
        verbose_name_plural = _("on-call history")
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")),
                name="incidents_oncallrecord_ends_after_it_starts",
            ),
            models.UniqueConstraint(
                fields=["schedule_number", "starts_at"],
                name="incidents_oncallrecord_once_a_start",
            ),
        ]
        indexes = [
            models.Index(
                fields=["schedule_number", "ends_at"], name="incidents_oncall_ends"
            ),
            models.Index(
                fields=["contact_number", "starts_at"], name="incidents_oncall_person"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_name}: {self.contact_name or '–'}"


def new_feed_token() -> str:
    """Return what makes a feed's address secret: 192 random bits."""
    return secrets.token_urlsafe(24)


class CalendarFeed(models.Model):
    """The secret address of a calendar feed, of one person or of one schedule."""

    token = models.CharField(max_length=64, unique=True, default=new_feed_token)
    schedule = models.OneToOneField(
        Schedule,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="feed",
    )
    contact = models.OneToOneField(
        Contact,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="on_call_feed",
    )
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = _("calendar feed")
        verbose_name_plural = _("calendar feeds")
        # Whoever may see a calendar gets its address on the page.
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(schedule__isnull=True, contact__isnull=False)
                | Q(schedule__isnull=False, contact__isnull=True),
                name="incidents_calendarfeed_of_one_thing",
            )
        ]

    def __str__(self) -> str:
        return f"feed {self.pk}"
