"""Whether a service is worse after a deployment than before, by its checks. Pure.

It says so only where both sides were seen well enough, and of one monitor at a time: a
slow one among fast ones would hide in a mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from monitors.queries.before_after import Compared, Side
from t4g_portal.lib import wording

# So much of the time before it starts and after it has ended is looked at.
WATCHED = timedelta(minutes=30)
# Fewer checks on a side say nothing.
LEAST_CHECKS = 5
# Worse: so much more of the checks fail, and at least so many ...
_MORE_FAILED_RATIO = 0.05
_MORE_FAILED_COUNT = 2
# ... or the p95 is so many times as long, and longer by so much.
_SLOWER_RATIO = 1.5
_SLOWER_MS = 100.0


class Verdict(StrEnum):
    """How a deployment turned out; the values are the states that pages color by."""

    WELL = "up"
    WORSE = "down"
    SLOWER = "degraded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A verdict, and why, in a sentence."""

    verdict: Verdict
    text: str
    monitors: tuple[Compared, ...] = ()


def compare(
    *, monitors: Sequence[Compared], after_end: datetime, now: datetime
) -> Comparison:
    """Judge what was measured until `after_end`, which may lie ahead of `now`."""
    seen = [one for one in monitors if _is_seen(one.before) and _is_seen(one.after)]
    kept = tuple(monitors)
    if not seen:
        return Comparison(Verdict.UNKNOWN, _unseen(monitors, after_end > now), kept)
    failing = [one for one in seen if _fails_more(one)]
    if failing:
        worst = max(failing, key=lambda one: _failed_ratio(one.after))
        return Comparison(Verdict.WORSE, _failing_words(worst), kept)
    slower = [one for one in seen if _slowdown(one) >= _SLOWER_RATIO]
    if slower:
        return Comparison(
            Verdict.SLOWER, _slower_words(max(slower, key=_slowdown)), kept
        )
    return Comparison(Verdict.WELL, _well_words(seen), kept)


def is_worse(one: Compared) -> bool:
    """Whether a monitor by itself makes a deployment worse than before."""
    if not (_is_seen(one.before) and _is_seen(one.after)):
        return False
    return _fails_more(one) or _slowdown(one) >= _SLOWER_RATIO


def _is_seen(side: Side) -> bool:
    return side.count >= LEAST_CHECKS


def _failed_ratio(side: Side) -> float:
    return side.failed_count / side.count


def _fails_more(one: Compared) -> bool:
    return (
        one.after.failed_count >= _MORE_FAILED_COUNT
        and _failed_ratio(one.after) - _failed_ratio(one.before) >= _MORE_FAILED_RATIO
    )


def _slowdown(one: Compared) -> float:
    """Return how many times as long it takes; 1 where that is no difference."""
    before, after = one.before.p95_ms, one.after.p95_ms
    if before is None or after is None or after - before < _SLOWER_MS:
        return 1.0
    return after / max(before, 1.0)


def _unseen(monitors: Sequence[Compared], goes_on: bool) -> str:
    if not monitors:
        return _("No checks from that time.")
    if goes_on:
        return _("Too early to tell.")
    return _("Too few checks to tell.")


def _failing_words(one: Compared) -> str:
    return _("%(name)s: %(after)s of its checks fail, %(before)s before") % {
        "name": one.name,
        "after": wording.percent(_failed_ratio(one.after), digits=0),
        "before": wording.percent(_failed_ratio(one.before), digits=0),
    }


def _slower_words(one: Compared) -> str:
    return _("%(name)s: p95 %(after)s, %(before)s before") % {
        "name": one.name,
        "after": wording.milliseconds(one.after.p95_ms),
        "before": wording.milliseconds(one.before.p95_ms),
    }


def _well_words(seen: Sequence[Compared]) -> str:
    failed = sum(one.after.failed_count for one in seen)
    count = sum(one.after.count for one in seen)
    if failed:
        return _("%(failed)d of %(count)d checks failed, no more than before") % {
            "failed": failed,
            "count": count,
        }
    return ngettext(
        "%(count)d check passed, none slower than before",
        "%(count)d checks passed, none slower than before",
        count,
    ) % {"count": count}
