"""What a gate answered: each decision, for ever."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from checklists.models.run import ChecklistRun


class GateDecision(models.Model):
    """One answer to "may this commit go there?". Written once, never changed."""

    class Verdict(models.TextChoices):
        PASS = "pass", _("Pass")
        BLOCK = "block", _("Block")

    service_slug = models.SlugField(_("service"), max_length=60)
    environment = models.SlugField(_("environment"), max_length=60)
    git_sha = models.CharField(_("commit"), max_length=64)
    run = models.ForeignKey(
        ChecklistRun,
        verbose_name=pgettext_lazy("checklist", "run"),
        null=True,
        on_delete=models.PROTECT,
        related_name="decisions",
    )
    verdict = models.CharField(_("verdict"), max_length=5, choices=Verdict.choices)
    reasons = models.JSONField(_("reasons"), default=list)
    decided_at = models.DateTimeField(_("decided"))
    # The name of a key or of a person, as it was.
    caller = models.CharField(_("asked by"), max_length=320)
    key_id = models.CharField(_("key"), max_length=20, blank=True)

    class Meta:
        verbose_name = _("gate decision")
        verbose_name_plural = _("gate decisions")
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict__in=["pass", "block"]),
                name="checklists_decision_verdict_known",
            )
        ]
        indexes = [
            models.Index(
                fields=["service_slug", "environment", "-decided_at"],
                name="checklists_decision_of_gate",
            ),
            models.Index(fields=["-decided_at"], name="checklists_decision_by_age"),
        ]

    def __str__(self) -> str:
        return (
            f"{self.service_slug} {self.environment} {self.git_sha[:10]} {self.verdict}"
        )
