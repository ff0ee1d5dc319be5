"""What people change about turns: overrides, swaps and absences."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from incidents.models.schedule import Schedule
from notifications.models import Contact


class Override(models.Model):
    """Somebody is on call for a time, whatever the rotations say. The latest made wins."""

    class Kind(models.TextChoices):
        OVERRIDE = "override", _("Override")
        TAKEN = "taken", _("Taken shift")
        SWAP = "swap", _("Swap")

    schedule = models.ForeignKey(
        Schedule,
        verbose_name=_("schedule"),
        on_delete=models.CASCADE,
        related_name="overrides",
    )
    contact = models.ForeignKey(
        Contact,
        verbose_name=_("person"),
        on_delete=models.CASCADE,
        related_name="overrides",
    )
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    kind = models.CharField(
        _("kind"), max_length=10, choices=Kind.choices, default=Kind.OVERRIDE
    )
    # Who had it when it was made; says so on pages, and decides nothing.
    replaces = models.ForeignKey(
        Contact,
        verbose_name=_("instead of"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("made by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    class Meta:
        verbose_name = _("override")
        verbose_name_plural = _("overrides")
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")),
                name="incidents_override_ends_after_it_starts",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["override", "taken", "swap"]),
                name="incidents_override_kind_known",
            ),
            models.UniqueConstraint(
                fields=["schedule", "contact", "starts_at"],
                name="incidents_override_once_a_start",
            ),
        ]
        indexes = [
            models.Index(fields=["schedule", "ends_at"], name="incidents_override_ends")
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class Absence(models.Model):
    """Time in which a person is on call for nothing; the next of the rotation stands in."""

    contact = models.ForeignKey(
        Contact,
        verbose_name=_("person"),
        on_delete=models.CASCADE,
        related_name="absences",
    )
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    reason = models.CharField(_("reason"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("absence")
        verbose_name_plural = _("absences")
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")),
                name="incidents_absence_ends_after_it_starts",
            ),
            models.UniqueConstraint(
                fields=["contact", "starts_at"], name="incidents_absence_once_a_start"
            ),
        ]
        indexes = [
            models.Index(fields=["contact", "ends_at"], name="incidents_absence_ends")
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class SwapRequest(models.Model):
    """A person asks another to be on call instead, perhaps for a shift in return.

    Engine-owned: only `incidents.oncall.swapping` writes it. Accepting makes overrides.
    """

    class Status(models.TextChoices):
        ASKED = "asked", _("Asked")
        ACCEPTED = "accepted", _("Accepted")
        DECLINED = "declined", _("Declined")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        EXPIRED = "expired", _("Expired")

    schedule = models.ForeignKey(
        Schedule,
        verbose_name=_("schedule"),
        on_delete=models.CASCADE,
        related_name="swap_requests",
    )
    asker = models.ForeignKey(
        Contact,
        verbose_name=_("asked by"),
        on_delete=models.CASCADE,
        related_name="swaps_asked",
    )
    other = models.ForeignKey(
        Contact,
        verbose_name=_("asked"),
        on_delete=models.CASCADE,
        related_name="swaps_received",
    )
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    # What the asker does for the other in return.
    return_starts_at = models.DateTimeField(_("in return from"), null=True, blank=True)
    return_ends_at = models.DateTimeField(_("in return until"), null=True, blank=True)
    message = models.CharField(_("message"), max_length=500, blank=True)
    answer = models.CharField(_("answer"), max_length=500, blank=True)
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.ASKED
    )
    asked_at = models.DateTimeField(_("asked at"))
    ended_at = models.DateTimeField(_("answered"), null=True, blank=True)

    class Meta:
        verbose_name = _("swap request")
        verbose_name_plural = _("swap requests")
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")),
                name="incidents_swap_ends_after_it_starts",
            ),
            models.CheckConstraint(
                condition=Q(return_starts_at__isnull=True, return_ends_at__isnull=True)
                # What is unknown is no contradiction to PostgreSQL.
                | Q(
                    return_starts_at__isnull=False,
                    return_ends_at__isnull=False,
                    return_ends_at__gt=F("return_starts_at"),
                ),
                name="incidents_swap_return_ends_after_it_starts",
            ),
            models.CheckConstraint(
                condition=~Q(asker=F("other")), name="incidents_swap_of_two_people"
            ),
            models.CheckConstraint(
                condition=Q(status="asked", ended_at__isnull=True)
                | (~Q(status="asked") & Q(ended_at__isnull=False)),
                name="incidents_swap_answered_has_a_time",
            ),
            models.UniqueConstraint(
                fields=["schedule", "asker", "other", "starts_at"],
                condition=Q(status="asked"),
                name="incidents_swap_asked_once",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"
