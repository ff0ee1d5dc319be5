"""Verifies the whole chain each night, and raises an alert about what it finds."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from hashlib import blake2b

from django.conf import settings
from django.db import connection, transaction
from django.utils.formats import date_format, localize
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from checklists.models import AnchoredHead, AuditCheck
from incidents import intake
from incidents.alarms import own_service
from incidents.models import Alert
from kpis.digest.timing import DAILY, Timing, latest
from t4g_portal.lib.audit.appending import head
from t4g_portal.lib.audit.chain import Link
from t4g_portal.lib.audit.verifying import Fault, Report, Wrong, verify
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import retold, source_language

logger = logging.getLogger(__name__)

ALERT_KEY = "portal:audit-chain"
SOURCE_KIND = "audit-check"
# When the fewest people wait for the database.
_NIGHTLY = time(3, 0)
_LOCK = int.from_bytes(blake2b(b"audit.check", digest_size=8).digest(), signed=True)
# A check of the future was made by a clock that has been put right since.
_SLACK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Seen:
    """How the chain stood when it was last verified, for pages and letters."""

    check: AuditCheck | None
    head: Link

    @property
    def is_intact(self) -> bool:
        """Whether it was verified and nothing was wrong."""
        return self.check is not None and self.check.is_intact

    @property
    def newer_count(self) -> int:
        """How many entries have come since."""
        return max(self.head.seq - (self.check.seq if self.check else 0), 0)

    @property
    def sentence(self) -> str:
        """Return it in words, in the active language and zone."""
        if self.check is None:
            return _("Not verified yet; the portal does so each night.")
        when = date_format(localtime(self.check.at), "DATETIME_FORMAT")
        if self.check.is_intact:
            return _("Intact up to entry %(number)s, verified %(when)s.") % {
                "number": localize(self.check.seq),
                "when": when,
            }
        assert self.check.wrong_seq is not None  # noqa: S101 a constraint says so
        found = retold(_found(Wrong(self.check.wrong), self.check.wrong_seq))
        return _("%(found)s (verified %(when)s).") % {"found": found, "when": when}


def seen() -> Seen:
    """Return how the chain stood when it was last verified. Two queries."""
    return Seen(check=AuditCheck.objects.order_by("-at", "-pk").first(), head=head())


def check_due(*, now: datetime) -> AuditCheck | None:
    """Verify the chain if nobody has since 03:00; return what came of it, if so.

    Any number of processes may call it at once: one verifies.
    """
    since = latest(Timing(DAILY, _NIGHTLY, zone=settings.TIME_ZONE), now).due_at
    is_done = AuditCheck.objects.filter(at__range=(since, now + _SLACK))
    return None if is_done.exists() else check(now=now)


def check(*, now: datetime) -> AuditCheck | None:
    """Verify the chain, note it, and raise or end the alert. None: somebody is at it.

    It is compared with each head that was mailed.
    """
    with transaction.atomic():
        if not _is_alone():
            return None
        return note(report=verify(known=mailed_heads()), now=now)


def mailed_heads() -> Iterator[Link]:
    """Return every head that was mailed, as the portal remembers it."""
    rows = AnchoredHead.objects.values_list("seq", "hash").distinct()
    return (Link(seq, known) for seq, known in rows.iterator())


def note(*, report: Report, now: datetime) -> AuditCheck:
    """Keep what came of a verification of the whole chain; raise or end the alert."""
    fault = report.fault
    with transaction.atomic():
        made = AuditCheck.objects.create(
            at=now,
            count=report.count,
            seq=report.link.seq,
            hash=report.link.hash,
            compared_count=report.compared_count,
            wrong=fault.wrong if fault else "",
            wrong_seq=fault.seq if fault else None,
        )
        if fault is None:
            _calm(now)
        else:
            logger.error("audit entry %s: %s", fault.seq, fault.wrong.value)
            _alarm(made, fault, now)
    return made


def _is_alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        (is_free,) = cursor.fetchone()
    return bool(is_free)


def _calm(now: datetime) -> None:
    if Alert.objects.filter(dedup_key=ALERT_KEY, status=Alert.Status.FIRING).exists():
        with source_language():
            detail = pgettext("stored", "The audit chain is intact again")
            intake.resolve(dedup_key=ALERT_KEY, now=now, detail=detail)


def _alarm(made: AuditCheck, fault: Fault, now: datetime) -> None:
    with source_language():
        intake.trigger(
            dedup_key=ALERT_KEY,
            service=own_service(),
            grouping_key=ALERT_KEY,
            title=_found(fault.wrong, fault.seq),
            priority=Priority.P1,
            started_at=now,
            now=now,
            detail=pgettext(
                "stored",
                "Entries up to %(seq)d are as they were written. Keep a copy of the "
                "database, then find out who could write to it.",
            )
            % {"seq": made.seq},
            source=f"{SOURCE_KIND}:{made.pk}",
            is_public=False,
        )


def _found(wrong: Wrong, seq: int) -> str:
    """Say what is wrong with an entry, to be stored."""
    with source_language():
        sentences = {
            Wrong.MISSING: pgettext("stored", "Audit entry %(seq)d is missing"),
            Wrong.UNLINKED: pgettext(
                "stored", "Audit entry %(seq)d does not follow on the one before it"
            ),
            Wrong.CHANGED: pgettext(
                "stored", "Audit entry %(seq)d was changed after it was written"
            ),
            Wrong.NOT_THE_KNOWN: pgettext(
                "stored", "Audit entry %(seq)d is not the one whose hash was mailed"
            ),
            Wrong.BEYOND_HEAD: pgettext(
                "stored", "Audit entry %(seq)d stands beyond the head of the chain"
            ),
        }
    return sentences[wrong] % {"seq": seq}
