"""The guide's four priorities, from "wake somebody" to "read it tomorrow"."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Priority(models.TextChoices):
    """P0 is the highest. Stored lowercase; sorts by urgency as text."""

    P0 = "p0", _("P0 Critical")
    P1 = "p1", _("P1 High")
    P2 = "p2", _("P2 Medium")
    P3 = "p3", _("P3 Low")

    @property
    def short(self) -> str:
        """`P0` … `P3`, the same in every language."""
        return self.value.upper()


def highest(priorities: list[str]) -> str:
    """Return the most urgent of some priorities; raises ValueError when empty."""
    return min(priorities)
