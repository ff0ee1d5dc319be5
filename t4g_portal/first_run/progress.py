"""Whether the first run is still to be offered; the only writer of its row."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import AnonymousUser, User
from django.core.cache import cache

from t4g_portal.lib.models import FirstRun

# Each step needs one of them; who lacks any is not asked to set the portal up.
PERMISSIONS = (
    "incidents.add_service",
    "incidents.change_priorityrule",
    "monitors.add_monitor",
    "notifications.add_channel",
    "notifications.change_channel",
)


# What has ended never begins again, so the overview need not ask each time.
_SETTLED = "first_run.settled"
_SETTLED_FOR_S = 3600


def begin(*, now: datetime) -> None:
    """Offer the first run from now on; once begun, it isn't begun again."""
    cache.delete(_SETTLED)
    FirstRun.objects.get_or_create(pk=FirstRun.ONLY, defaults={"begun_at": now})


def is_offered(*, user: User | AnonymousUser) -> bool:
    """Whether somebody should be led to the first run."""
    if not user.has_perms(PERMISSIONS) or cache.get(_SETTLED):
        return False
    is_open = FirstRun.objects.filter(pk=FirstRun.ONLY, ended_at=None).exists()
    if not is_open:
        cache.set(_SETTLED, True, _SETTLED_FOR_S)
    return is_open


def end(*, user: User, is_skipped: bool, now: datetime) -> None:
    """Offer it no more; the first who ends it counts."""
    FirstRun.objects.filter(pk=FirstRun.ONLY, ended_at=None).update(
        ended_at=now, ended_by=user, is_skipped=is_skipped
    )
