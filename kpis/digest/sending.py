"""Sends each digest once a local day: one transaction from the clock to the outbox."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone, translation

from kpis.digest.composing import compose
from kpis.digest.gathering import gather, timing_of
from kpis.digest.telling import Digest
from kpis.digest.timing import Occasion, following, latest
from kpis.models import DigestDelivery, DigestPlan, DigestState
from notifications import services as outbox
from notifications.message import Message
from notifications.models import Address, Channel, Notification
from notifications.readers import Reader, readers_of

logger = logging.getLogger(__name__)

PURPOSE = "kpi_digest"
# As `incidents.digest` names what it lists the P3s in.
_P3_DIGEST = "digest:p3:"


def send_due(*, now: datetime) -> int:
    """Write the digests that are due into the outbox; return how many messages.

    Any number of processes may call it at once, as often as they like. A plan that is
    new, switched on or edited waits for its next time. A portal that was away sends the
    last one late, and says so in it; older ones are skipped. One plan that fails stops
    no other, and is tried again by the next tick.
    """
    _forget_disabled()
    count = 0
    for plan in DigestPlan.objects.filter(is_enabled=True).select_related("state"):
        try:
            count += _keep(plan, now)
        except Exception:
            logger.exception("digest %s could not be sent", plan.pk)
    return count


def _forget_disabled() -> None:
    """Let a plan that is switched on again owe nothing."""
    DigestState.objects.filter(plan__is_enabled=False).delete()


def _keep(plan: DigestPlan, now: datetime) -> int:
    state: DigestState | None = getattr(plan, "state", None)
    timing = timing_of(plan)
    if state is None or state.timing != str(timing):
        DigestState.objects.update_or_create(
            plan=plan,
            defaults={
                "timing": str(timing),
                "next_at": following(timing, now).due_at,
            },
        )
        return 0
    return _send(plan, now) if state.next_at <= now else 0


def _send(plan: DigestPlan, now: datetime) -> int:
    """Send what is due of a plan, unless somebody else is at it or was."""
    with transaction.atomic():
        state = (
            DigestState.objects.select_for_update(skip_locked=True)
            .filter(plan=plan, next_at__lte=now)
            .first()
        )
        if state is None:
            return 0
        timing = timing_of(plan)
        occasion = latest(timing, now)
        state.next_at = following(timing, now).due_at
        state.save(update_fields=["next_at"])
        if now >= occasion.expires_at:
            logger.warning(
                "digest %s of %s was not sent: too late", plan.pk, occasion.local_date
            )
            return 0
        delivery, is_new = DigestDelivery.objects.get_or_create(
            plan=plan,
            local_date=occasion.local_date,
            defaults={"composed_at": now, "is_late": occasion.is_late(now)},
        )
        if not is_new:
            # The plan was moved to later on a day that has had its digest.
            return 0
        drafts = list(_drafts(plan, occasion, now))
        outbox.enqueue_all(drafts=drafts, now=now)
        delivery.message_count = len(drafts)
        delivery.save(update_fields=["message_count"])
        return len(drafts)


def _drafts(
    plan: DigestPlan, occasion: Occasion, now: datetime
) -> Iterator[outbox.Draft]:
    found = readers(plan=plan)
    if not found:
        return
    digest = gather(plan=plan, occasion=occasion, now=now)
    told = _told_of_p3(occasion)
    said: dict[tuple[str, str, bool], Message] = {}
    subject = subject_key(plan=plan, local_date=occasion.local_date)
    for one in found:
        is_told = _place(one.channel, one.address) in told
        kind = (one.language, one.zone, is_told)
        if kind not in said:
            said[kind] = written(digest=digest, to=one, is_p3_told=is_told)
        yield outbox.Draft(
            channel=one.channel,
            address=one.address,
            message=said[kind],
            purpose=PURPOSE,
            subject_key=subject,
            idempotency_key=f"{subject}:{one.key}",
            lane=Notification.Lane.BULK,
            method=one.method,
        )


def readers(*, plan: DigestPlan) -> list[Reader]:
    """Return whom a plan's digest can reach now."""
    return readers_of(
        channels=plan.channels.all(), contacts=plan.contacts.all(), zone=plan.time_zone
    )


def written(*, digest: Digest, to: Reader, is_p3_told: bool = False) -> Message:
    """Return a digest as one destination reads it: its language, its clock."""
    # A card keeps the words of the first who reads it; each language needs its own.
    digest = replace(digest, cards=[replace(card) for card in digest.cards])
    with (
        translation.override(to.language),
        timezone.override(ZoneInfo(to.zone)),
    ):
        return compose(digest=digest, language=to.language, is_p3_told=is_p3_told)


def subject_key(*, plan: DigestPlan, local_date: date) -> str:
    """Return what the messages of one digest are about, in the outbox."""
    return f"kpi-digest:{plan.pk}:{local_date}"


def _told_of_p3(occasion: Occasion) -> set[tuple[int | None, int | None]]:
    """Return who got the list of P3s since the digest before."""
    rows = Notification.objects.filter(
        subject_key__startswith=_P3_DIGEST, queued_at__gte=occasion.since
    )
    return set(rows.values_list("channel_id", "address_id"))


def _place(
    channel: Channel | None, address: Address | None
) -> tuple[int | None, int | None]:
    return channel.pk if channel else None, address.pk if address else None
