"""One pass of the auditor: look, repair, look again, write down, tell, and say so outside."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction

from incidents.auditing import deadman, gathering, telling
from incidents.auditing.gathering import Found
from incidents.auditing.judging import Kind
from incidents.auditing.repairing import repair, take_due
from incidents.models import AuditFinding
from t4g_portal.lib.loops import late_among

logger = logging.getLogger(__name__)

# The name of the loop that this is, which is late until the pass is over.
LOOP = "incidents.audit"
# What the first pass after a long standstill finds is repaired over several.
_MOST = 500
_LOCK = 0x4155444954  # "AUDIT"
# Its repair is another way to the person: the message itself stays without receipt.
_DONE_ONCE = frozenset({Kind.NO_RECEIPT})


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass came to. `late_loops`: those that do not come round."""

    found_count: int
    left_count: int
    late_loops: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether no page is in danger as far as the auditor can see."""
        return not self.left_count and not self.late_loops


def audit(*, now: datetime) -> Pass:
    """Look for pages that could get lost, of any age, and see to it that none does.

    Raises what the database raises: an auditor that fails must be seen failing. After a
    clean pass whoever watches the portal from outside hears of it, at `DEADMAN_URL`.
    """
    before = gathering.found(now=now)
    for one in before[:_MOST]:
        repair(found=one, now=now)
    if before:
        take_due(now=now)
    after = set(gathering.found(now=now)) if before else set()
    left = {one for one in after if one.kind not in _DONE_ONCE}
    with transaction.atomic():
        findings = _write_down({*before, *left}, left, now)
        _end_others(left, now)
        if findings:
            telling.tell(findings=findings, now=now)
        else:
            telling.end_if_quiet(now=now)
    done = Pass(
        found_count=len(findings),
        left_count=len(left),
        late_loops=_late_loops(now),
    )
    if findings:
        logger.error("auditor: %d found, %d left", done.found_count, done.left_count)
    if done.is_clean:
        deadman.ping()
    elif done.late_loops:
        logger.error("auditor: late loops, no ping: %s", ", ".join(done.late_loops))
    return done


def _write_down(
    found: Collection[Found], left: Collection[Found], now: datetime
) -> list[AuditFinding]:
    """Keep a row for each; one that lasts from pass to pass is one row."""
    with connection.cursor() as cursor:
        # Of two auditors one writes after the other and sees what it wrote.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    open_rows = {
        Found(Kind(row.kind), row.incident_id, row.notification_id): row
        for row in AuditFinding.objects.filter(ended_at=None).select_for_update()
    }
    findings = []
    for one in sorted(found, key=_order):
        row = open_rows.get(one) or AuditFinding(
            kind=one.kind,
            incident_id=one.incident_id,
            notification_id=one.notification_id,
            found_at=now,
            seen_count=0,
        )
        row.seen_count += 1
        row.last_seen_at = now
        if one not in left:
            row.repaired_at = row.ended_at = now
        row.save()
        findings.append(row)
    return findings


def _order(found: Found) -> tuple[str, int, int]:
    return (str(found.kind), found.incident_id or 0, found.notification_id or 0)


def _end_others(left: Collection[Found], now: datetime) -> None:
    """Close what lasted and is no longer there: somebody else put it right."""
    for row in AuditFinding.objects.filter(ended_at=None, last_seen_at__lt=now):
        if Found(Kind(row.kind), row.incident_id, row.notification_id) not in left:
            AuditFinding.objects.filter(pk=row.pk).update(ended_at=now)


def _late_loops(now: datetime) -> tuple[str, ...]:
    """Name the loops that should come round and don't; whoever sits in one is silent."""
    others = set(settings.CELERY_BEAT_SCHEDULE) - {LOOP}
    return tuple(late_among(names=others, now=now))
