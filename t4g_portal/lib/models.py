"""Tables that every floor may use."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class LoopCycle(models.Model):
    """When a timed loop last came round; `/ready` and the auditor read it."""

    name = models.CharField(primary_key=True, max_length=60)
    completed_at = models.DateTimeField()
    # Later than this and the loop counts as stuck.
    bound_s = models.PositiveIntegerField()
    last_error = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("loop")
        verbose_name_plural = _("loops")

    def __str__(self) -> str:
        return self.name


class SeededKey(models.Model):
    """A row that the seed once made, so that deleting or editing it is respected."""

    key = models.CharField(primary_key=True, max_length=200)
    seeded_at = models.DateTimeField()

    class Meta:
        verbose_name = _("seeded row")
        verbose_name_plural = _("seeded rows")

    def __str__(self) -> str:
        return self.key
