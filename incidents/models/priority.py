"""The priority matrix: which policy tells people, how soon somebody must react."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from incidents.models.policy import EscalationPolicy
from t4g_portal.lib.priority import Priority


class PriorityRule(models.Model):
    """What a priority means in practice. One row for each of P0–P3."""

    priority = models.CharField(
        _("priority"), max_length=2, choices=Priority.choices, unique=True
    )
    description = models.CharField(_("description"), max_length=200, blank=True)
    policy = models.ForeignKey(
        EscalationPolicy,
        verbose_name=_("escalation policy"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="priority_rules",
        help_text=_("Whom it tells. A service may have another one."),
    )
    response_s = models.PositiveIntegerField(
        _("response time (s)"),
        help_text=_("Somebody must have acknowledged within this time."),
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
        ]

    def __str__(self) -> str:
        return self.priority.upper()
