"""Making and revoking keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from t4g_portal.lib.api.keys import new_key
from t4g_portal.lib.models import ApiKey


def issue(
    *, owner: User, name: str, scopes: Sequence[str], expires_at: datetime | None
) -> tuple[ApiKey, str]:
    """Make a key; return its row and its text, which nobody can ever read again.

    Raises IntegrityError when the owner has a key of this name that isn't revoked.
    """
    parts = new_key()
    row = ApiKey.objects.create(
        key_id=parts.key_id,
        digest=parts.digest,
        owner=owner,
        name=name,
        scopes=list(scopes),
        expires_at=expires_at,
    )
    return row, parts.text


def revoke(*, keys: Sequence[int], now: datetime) -> int:
    """Revoke keys for good, by their numbers; return how many were not already."""
    with transaction.atomic():
        valid = ApiKey.objects.filter(pk__in=keys, revoked_at__isnull=True)
        rows = list(valid.select_for_update())
        # One by one, so that the history of each has it.
        for row in rows:
            row.revoked_at = now
            row.save(update_fields=["revoked_at"])
    return len(rows)
