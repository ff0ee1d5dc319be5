"""The words for how a monitor is, worst first where it matters."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    """What a monitor's time counts as. PENDING is before the first result."""

    PENDING = "pending", _("Pending")
    UP = "up", _("Up")
    DEGRADED = "degraded", _("Degraded")
    DOWN = "down", _("Down")
    MAINTENANCE = "maintenance", _("Maintenance")
    PAUSED = "paused", _("Paused")
    # Nobody looked: never counted as up or down.
    UNKNOWN = "unknown", _("Unknown")
