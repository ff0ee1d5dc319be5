"""Pings that came in, in the order in which they came."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from monitors.models.monitor import Monitor


class HeartbeatPing(models.Model):
    """One "I am alive". Written by the request alone; the engine's tick reads it."""

    class Kind(models.TextChoices):
        SUCCESS = "success", _("Success")
        START = "start", _("Start")
        FAIL = "fail", _("Failure")

    monitor = models.ForeignKey(Monitor, on_delete=models.CASCADE, related_name="pings")
    at = models.DateTimeField(_("at"))
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    exit_code = models.SmallIntegerField(_("exit code"), null=True)
    body = models.TextField(_("body"), blank=True)
    is_handled = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("heartbeat ping")
        verbose_name_plural = _("heartbeat pings")
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(is_handled=False),
                name="monitors_ping_to_handle",
            ),
            models.Index(fields=["monitor", "-at"], name="monitors_ping_of_monitor"),
        ]

    def __str__(self) -> str:
        return f"{self.monitor_id} {self.kind} {self.at:%Y-%m-%d %H:%M:%S}"
