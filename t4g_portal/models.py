"""Tables of the portal itself; the engine writes them, nobody edits them."""

from __future__ import annotations

from django.db import models


class SignInCounter(models.Model):
    """How often a device, an account or an address has tried to sign in.

    `t4g_portal.trust.throttle` writes it; the keys tell no name and no address.
    """

    key = models.CharField(primary_key=True, max_length=60)
    count = models.PositiveIntegerField()
    last_at = models.DateTimeField(db_index=True)
    # No attempt is looked at before.
    open_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key
