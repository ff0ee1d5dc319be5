"""The priority matrix: who is told, how soon somebody must react."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from notifications.models import Channel
from t4g_portal.lib.priority import Priority


class PriorityRule(models.Model):
    """What a priority means in practice. One row for each of P0–P3."""

    priority = models.CharField(
        _("priority"), max_length=2, choices=Priority.choices, unique=True
    )
    description = models.CharField(_("description"), max_length=200, blank=True)
    channels = models.ManyToManyField(
        Channel,
        verbose_name=_("channels"),
        blank=True,
        related_name="priority_rules",
        help_text=_("All of these are told at once. Disabled ones are left out."),
    )
    response_s = models.PositiveIntegerField(
        _("response time (s)"),
        help_text=_("Somebody must have acknowledged within this time."),
    )
    repeat_s = models.PositiveIntegerField(
        _("page again every (s)"),
        default=0,
        help_text=_("Until somebody acknowledges. 0: tell once."),
    )
    has_mention = models.BooleanField(
        _("mention everyone"),
        default=False,
        help_text=_("In Slack: @channel."),
    )
    is_digest = models.BooleanField(
        _("daily digest only"),
        default=False,
        help_text=_("Nobody is told at once; it is shown and goes into the digest."),
    )

    class Meta:
        verbose_name = _("priority rule")
        verbose_name_plural = _("priority matrix")
        constraints = [
            models.CheckConstraint(
                condition=Q(priority__in=Priority.values),
                name="incidents_priorityrule_priority_known",
            ),
            models.CheckConstraint(
                # Below a minute people stop reading.
                condition=Q(repeat_s=0) | Q(repeat_s__gte=60),
                name="incidents_priorityrule_repeat_at_least_a_minute",
            ),
        ]

    def __str__(self) -> str:
        return self.priority.upper()
