"""What subscribers of calendar feeds were told."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class PublishedShift(models.Model):
    """A shift as calendar programs know it, so that they hear when it moves or ends.

    Engine-owned: only `incidents.oncall.publishing` writes it. Plain numbers and names,
    because a schedule or person that is deleted still has shifts to be cancelled.
    """

    uid = models.CharField(max_length=40, primary_key=True)
    schedule_number = models.BigIntegerField()
    schedule_name = models.CharField(_("schedule"), max_length=120)
    contact_number = models.BigIntegerField()
    contact_name = models.CharField(_("person"), max_length=120)
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    sequence = models.PositiveIntegerField(default=0)
    modified_at = models.DateTimeField()
    cancelled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("published shift")
        verbose_name_plural = _("published shifts")
        # Nobody looks at them but through feeds.
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")),
                name="incidents_publishedshift_ends_after_it_starts",
            )
        ]
        indexes = [
            models.Index(
                fields=["contact_number", "ends_at"], name="incidents_published_person"
            ),
            models.Index(
                fields=["schedule_number", "ends_at"], name="incidents_published_sched"
            ),
        ]

    def __str__(self) -> str:
        return self.uid
