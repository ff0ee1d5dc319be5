"""Mails the head of the chain once a local day, so that somebody outside knows it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone, translation

from checklists.auditing.checks import seen
from checklists.auditing.letter import Head, compose
from checklists.models import AnchoredHead, AuditAnchor
from kpis.digest.timing import DAILY, Timing, latest
from notifications import services as outbox
from notifications.message import Message
from notifications.models import Notification
from notifications.readers import Reader, readers_of
from t4g_portal.lib.audit.appending import head
from t4g_portal.lib.audit.chain import Link
from t4g_portal.lib.models import AuditEntry

logger = logging.getLogger(__name__)

PURPOSE = "audit_head"


def send_due(*, now: datetime) -> int:
    """Write the heads that are due into the outbox; return how many messages.

    Any number of processes may call it at once, as often as they like. A portal that
    was away, or an anchor that is new, mails at once, unless the next is nearly due
    (from 15 hours after its time on). One that fails stops no other, and is tried
    again by the next tick, as one that reaches nobody is. A chain without entries has no
    head to mail.
    """
    count = 0
    for anchor in AuditAnchor.objects.filter(is_enabled=True):
        try:
            count += _send(anchor, now)
        except Exception:
            logger.exception("the head of anchor %s could not be mailed", anchor.pk)
    return count


def timing_of(anchor: AuditAnchor) -> Timing:
    """Return when an anchor's head is due."""
    return Timing(DAILY, anchor.at, zone=anchor.time_zone)


def readers(*, anchor: AuditAnchor) -> list[Reader]:
    """Return whom an anchor can reach now."""
    return readers_of(
        channels=anchor.channels.all(),
        contacts=anchor.contacts.all(),
        zone=anchor.time_zone,
    )


def _send(anchor: AuditAnchor, now: datetime) -> int:
    occasion = latest(timing_of(anchor), now)
    sent = anchor.heads.filter(local_date=occasion.local_date)
    if now >= occasion.expires_at or sent.exists():
        return 0
    with transaction.atomic():
        # Of several processes one goes on; the others find its row next time.
        locked = AuditAnchor.objects.select_for_update(skip_locked=True)
        if not locked.filter(pk=anchor.pk).exists() or sent.exists():
            return 0
        link = head()
        if not link.seq:
            return 0
        subject = f"audit-head:{anchor.pk}:{occasion.local_date}"
        drafts = list(_drafts(anchor, link, subject, now))
        if not drafts:
            # No row: somebody may be reachable by the next tick.
            logger.warning("the head of anchor %s reaches nobody", anchor.pk)
            return 0
        outbox.enqueue_all(drafts=drafts, now=now)
        AnchoredHead.objects.create(
            anchor=anchor,
            anchor_name=anchor.name,
            local_date=occasion.local_date,
            composed_at=now,
            seq=link.seq,
            hash=link.hash,
            message_count=len(drafts),
        )
        return len(drafts)


def _drafts(
    anchor: AuditAnchor, link: Link, subject: str, now: datetime
) -> Iterator[outbox.Draft]:
    entry = AuditEntry.objects.filter(seq=link.seq)
    found = Head(
        link=link,
        # Whoever deleted the entry must not have silenced the letter with it.
        last_at=entry.values_list("at", flat=True).first(),
        seen=seen(),
        written_at=now,
    )
    for reader in readers(anchor=anchor):
        yield outbox.Draft(
            channel=reader.channel,
            address=reader.address,
            message=written(head=found, to=reader),
            purpose=PURPOSE,
            subject_key=subject,
            idempotency_key=f"{subject}:{reader.key}",
            lane=Notification.Lane.BULK,
            method=reader.method,
        )


def written(*, head: Head, to: Reader) -> Message:
    """Return the letter as one reader gets it: their language, their clock."""
    with translation.override(to.language), timezone.override(ZoneInfo(to.zone)):
        return compose(head=head, language=to.language)
