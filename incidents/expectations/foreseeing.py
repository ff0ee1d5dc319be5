"""Which expectations an edit would break, asked before it stands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from incidents.expectations import words
from incidents.expectations.judging import Status, Verdict, judge, with_names
from incidents.models import ReachExpectation

logger = logging.getLogger(__name__)


def newly_broken(*, now: datetime) -> list[str]:
    """Say which expectations held when they were judged last and no longer do.

    For an edit that was made in a transaction which is still open. One query where
    nothing is expected.
    """
    rows = ReachExpectation.objects.filter(is_enabled=True, state__status=Status.KEPT)
    return [
        words.broken(verdict, now=now)
        for expectation in with_names(rows).order_by("name")
        if (verdict := _judged(expectation, now)) is not None and verdict.is_broken
    ]


def broken_by(*, act: Callable[[], object], now: datetime) -> list[str]:
    """Say what `newly_broken` says of an act, which is done and taken back at once.

    What the act refuses, it refuses again when it is done.
    """
    if not ReachExpectation.objects.filter(
        is_enabled=True, state__status=Status.KEPT
    ).exists():
        return []
    with transaction.atomic():
        act()
        found = newly_broken(now=now)
        transaction.set_rollback(True)
    return found


def _judged(expectation: ReachExpectation, now: datetime) -> Verdict | None:
    """Judge one; a fault of ours must not keep anybody from saving."""
    try:
        with transaction.atomic():
            return judge(expectation=expectation, now=now)
    except Exception:
        logger.exception("expectation %s can't be judged", expectation.pk)
        return None
