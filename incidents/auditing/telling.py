"""The portal's own alert about what the auditor found.

It goes out by the policy of its priority like every alert, and at least by one channel
that had no part in the trouble, where there is one.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta

from django.utils.translation import pgettext

from incidents import intake, paging
from incidents.alarms import own_service
from incidents.messages import Reason, build, story_of, thread_key
from incidents.models import Alert, AuditFinding, Incident
from notifications import services as outbox
from notifications.models import Channel, Notification
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import source_language

DEDUP_KEY = "portal:audit"
# After the last finding; sooner, and the alert would come and go with each of them.
QUIET_FOR = timedelta(minutes=15)


def tell(*, findings: Collection[AuditFinding], now: datetime) -> None:
    """Let the alert fire about what this pass found; call it in a transaction."""
    with source_language():
        alert = intake.trigger(
            dedup_key=DEDUP_KEY,
            grouping_key=DEDUP_KEY,
            service=own_service(),
            title=pgettext("stored", "Pages were about to be lost"),
            priority=str(Priority.P1),
            started_at=now,
            now=now,
            detail=_detail(findings),
            is_public=False,
        )
    # It never waits: a window holds none of the portal's own alarms back.
    if isinstance(alert, Alert):
        _tell_elsewhere(alert.incident, findings, now)


def end_if_quiet(*, now: datetime) -> None:
    """End the alert when nothing was found for a while and nothing lasts."""
    is_busy = (
        AuditFinding.objects.filter(ended_at=None).exists()
        or AuditFinding.objects.filter(last_seen_at__gt=now - QUIET_FOR).exists()
    )
    if not is_busy:
        intake.resolve(dedup_key=DEDUP_KEY, now=now)


def _detail(findings: Collection[AuditFinding]) -> str:
    mended = sum(finding.repaired_at is not None for finding in findings)
    left = len(findings) - mended
    if left:
        return pgettext(
            "stored",
            "Repaired: %(mended)d, not repaired: %(left)d. The findings stand in the "
            "admin; look there and at the worker.",
        ) % {"mended": mended, "left": left}
    return pgettext(
        "stored",
        "Repaired: %(mended)d. The findings stand in the admin; look for what wrote or "
        "deleted these rows.",
    ) % {"mended": mended}


def _tell_elsewhere(
    incident: Incident, findings: Collection[AuditFinding], now: datetime
) -> None:
    """Page by channels that had no part in it, unless one of them is paged already."""
    if incident.status != Incident.Status.TRIGGERED:
        return
    affected = _affected(findings)
    pages = Notification.objects.filter(
        subject_key=thread_key(incident=incident), purpose=paging.PAGE
    )
    told = set(pages.exclude(channel=None).values_list("channel_id", flat=True))
    if told - affected:
        return
    usable = outbox.usable_channels(Channel.objects.order_by("pk"))
    story = story_of(incident=incident, reason=Reason.UNDELIVERED, now=now)
    for channel in usable:
        if channel.pk in affected:
            continue
        # One that can't be used after all must not keep the others from being told.
        with suppress(outbox.UnableToEnqueue):
            outbox.enqueue(
                channel=channel,
                message=build(
                    story=story,
                    language=channel.language,
                    is_first_in_thread=True,
                    has_mention=False,
                ),
                purpose=paging.PAGE,
                subject_key=thread_key(incident=incident),
                idempotency_key=f"incident:{incident.pk}:audit:{channel.pk}",
                now=now,
                lane=Notification.Lane.PAGING,
            )


def _affected(findings: Collection[AuditFinding]) -> set[int]:
    """Return the channels that pages of these findings went through, or should have."""
    messages = [finding.notification_id for finding in findings]
    subjects = [
        f"incident:{finding.incident_id}"
        for finding in findings
        if finding.notification_id is None and finding.incident_id is not None
    ]
    rows = Notification.objects.filter(pk__in=[pk for pk in messages if pk])
    rows |= Notification.objects.filter(subject_key__in=subjects, purpose=paging.PAGE)
    return set(rows.exclude(channel=None).values_list("channel_id", flat=True))
