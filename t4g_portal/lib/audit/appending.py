"""The one door by which entries come into the chain."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b

from django.db import connection

from t4g_portal.lib.audit.canonical import plain
from t4g_portal.lib.audit.chain import START, VERSION, Actor, Link, body_of, hash_of
from t4g_portal.lib.audit.models import AuditEntry, AuditHead

_LOCK = int.from_bytes(blake2b(b"cellar.audit", digest_size=8).digest(), signed=True)


class UnableToAppend(RuntimeError):
    """No entry was written, so the act it stands for must not happen either."""


def append(
    *,
    action: str,
    subject: str,
    actor: Actor,
    details: Mapping[str, object],
    now: datetime,
) -> AuditEntry:
    """Add an entry inside the caller's transaction, and return it.

    Writers wait for one another from here to their commit, so append last: after the
    locks on rows, before nothing that waits. Numbers have no holes, since an entry that
    is rolled back takes its number with it.

    Raises UnableToAppend outside a transaction, where an act could stay without its
    entry, and UnableToCanonicalize for details that have no canonical text.
    """
    if not connection.in_atomic_block:
        raise UnableToAppend("append belongs inside the transaction of the act")
    kept = plain(details)
    at = now.astimezone(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    before = head()
    seq = before.seq + 1
    body = body_of(
        version=VERSION,
        seq=seq,
        at=at,
        actor=actor,
        action=action,
        subject=subject,
        details=kept,
    )
    return AuditEntry.objects.create(
        seq=seq,
        version=VERSION,
        at=at,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        action=action,
        subject=subject,
        details=kept,
        prev_hash=before.hash,
        hash=hash_of(version=VERSION, previous=before.hash, body=body),
    )


def head() -> Link:
    """Return where the chain ends now; the start of all chains when it is empty."""
    found = AuditHead.objects.first()
    return found.link if found else START
