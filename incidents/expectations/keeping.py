"""What is known of expectations, and the portal's own alert about one that fails.

The only writer of `ReachExpectationState`. A state and the alert about it commit
together; whoever resolves the alert's incident by hand isn't paged again for it.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import pgettext

from incidents import alarms, intake
from incidents.expectations import words
from incidents.expectations.judging import Status, Verdict, enabled, judge, with_names
from incidents.models import Alert, ReachExpectation, ReachExpectationState
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import source_language

logger = logging.getLogger(__name__)

SOURCE = "expectation"
_GROUPING_KEY = "portal:expectations"
_KEY = "portal:expectation:"
# What was judged further ahead was judged before a clock was set back.
_LATELY = timedelta(minutes=2)


def watch(*, now: datetime) -> None:
    """Judge every expectation that is enabled, and forget the others.

    Any number of engines may do so at once. Raises RuntimeError at the end when one of
    them could not be judged; the others are.
    """
    _forget_disabled(now)
    failed = []
    for expectation in enabled():
        try:
            keep(verdict=judge(expectation=expectation, now=now), now=now)
        except Exception:
            logger.exception("expectation %s can't be judged", expectation.pk)
            failed.append(expectation.pk)
    if failed:
        raise RuntimeError(f"expectations that can't be judged: {failed}")


def judge_one(*, expectation_id: int, now: datetime) -> None:
    """Judge one that was just edited; one that is disabled or gone is left alone."""
    rows = ReachExpectation.objects.filter(pk=expectation_id, is_enabled=True)
    expectation = with_names(rows).first()
    if expectation is not None:
        keep(verdict=judge(expectation=expectation, now=now), now=now)


def keep(*, verdict: Verdict, now: datetime) -> None:
    """Store a verdict; raise or end the alert when it changes whether all is well."""
    pk = verdict.expectation.pk
    with transaction.atomic():
        rows = ReachExpectation.objects.select_for_update(no_key=True)
        if not rows.filter(pk=pk, is_enabled=True).exists():
            # Deleted or switched off meanwhile.
            return
        before = ReachExpectationState.objects.filter(pk=pk).first()
        if before is not None and now < before.judged_at <= now + _LATELY:
            # Another engine has looked since.
            return
        is_same = before is not None and before.status == verdict.status
        ReachExpectationState.objects.update_or_create(
            pk=pk,
            defaults={
                "status": verdict.status,
                "since": before.since if before is not None and is_same else now,
                "judged_at": now,
                "opens_at": verdict.opens_at,
                "told_at": verdict.told_at,
                "reason": verdict.reason,
            },
        )
        if is_same:
            return
        if verdict.is_broken:
            _raise(verdict, now)
        else:
            intake.resolve(dedup_key=f"{_KEY}{pk}", now=now)


def _forget_disabled(now: datetime) -> None:
    """End the alerts about expectations that are disabled or deleted; two queries."""
    ReachExpectationState.objects.filter(expectation__is_enabled=False).delete()
    firing = Alert.objects.filter(
        dedup_key__startswith=_KEY, status=Alert.Status.FIRING
    ).values_list("dedup_key", flat=True)
    broken = ReachExpectationState.objects.filter(status=Status.BROKEN)
    wanted = {f"{_KEY}{pk}" for pk in broken.values_list("pk", flat=True)}
    for key in sorted(set(firing) - wanted):
        intake.resolve(dedup_key=key, now=now)


def _raise(verdict: Verdict, now: datetime) -> None:
    expectation = verdict.expectation
    with source_language():
        title = pgettext("stored", "What must stay true no longer is: %(name)s") % {
            "name": expectation.name
        }
        detail = "\n".join(
            [words.sentence(expectation), words.outcome(verdict, now=now)]
        )
    intake.trigger(
        dedup_key=f"{_KEY}{expectation.pk}",
        service=alarms.own_service(),
        title=title,
        detail=detail,
        priority=str(Priority.P3),
        started_at=now,
        now=now,
        source=f"{SOURCE}:{expectation.pk}",
        grouping_key=_GROUPING_KEY,
        is_public=False,
    )
