"""What has come in lately, so that it is taken once."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class SeenCall(models.Model):
    """Something that must not count twice within its time, by the hash of its key."""

    digest = models.CharField(primary_key=True, max_length=64)
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("call seen")
        verbose_name_plural = _("calls seen")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.digest[:12]} {self.seen_at:%Y-%m-%d %H:%M:%S}"
