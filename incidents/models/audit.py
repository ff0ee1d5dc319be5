"""What the auditor found, and what became of it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from incidents.models.incident import Incident
from notifications.models import Notification


class AuditFinding(models.Model):
    """A page that was about to be lost, seen by the auditor. Engine-owned.

    It is repaired (`repaired_at`), or it is over without that (`ended_at` alone), or it
    lasts: then no dead-man ping leaves until it is over.
    """

    class Kind(models.TextChoices):
        NO_NEXT_STEP = "no_next_step", _("No next step")
        LATE_STEP = "late_step", _("Step late")
        NO_MESSAGE = "no_message", _("Page without a message")
        STUCK = "stuck", _("Stuck while being sent")
        NOT_LEAVING = "not_leaving", _("Waits and does not leave")
        NO_RECEIPT = "no_receipt", _("Sent, never received")
        STILL_HELD = "still_held", _("Held back after the deploy window")
        UNREADABLE = "unreadable", _("Can't be examined")

    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    incident = models.ForeignKey(
        Incident,
        verbose_name=_("incident"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="findings",
    )
    notification = models.ForeignKey(
        Notification,
        verbose_name=_("message"),
        null=True,
        blank=True,
        # Messages are deleted after their time; what was found stays.
        on_delete=models.SET_NULL,
        related_name="findings",
    )
    found_at = models.DateTimeField(_("found"))
    last_seen_at = models.DateTimeField(_("last seen"))
    seen_count = models.PositiveIntegerField(_("times seen"), default=1)
    repaired_at = models.DateTimeField(_("repaired"), null=True, blank=True)
    ended_at = models.DateTimeField(_("over"), null=True, blank=True)
    # What was wrong in figures, such as {"next_at": null}.
    facts = models.JSONField(_("facts"), default=dict, blank=True)

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "incident", "notification"],
                condition=Q(ended_at__isnull=True),
                nulls_distinct=False,
                name="incidents_auditfinding_one_open",
            ),
            models.CheckConstraint(
                condition=Q(repaired_at__isnull=True) | Q(ended_at__isnull=False),
                name="incidents_auditfinding_repaired_is_over",
            ),
        ]
        indexes = [
            models.Index(fields=["-last_seen_at"], name="incidents_finding_recent")
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.kind}"
