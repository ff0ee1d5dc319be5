"""What an escalation would come to if nobody acknowledged: page after page.

The very functions of paging decide: `planning` when, `expanding` whom. Pure; the caller
says how to look at the world of a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from incidents.escalation import planning
from incidents.escalation.expanding import Page, World, decide
from incidents.escalation.planning import Progress
from incidents.escalation.policy import Policy


@dataclass(frozen=True, slots=True)
class Moment:
    """One page: when the engine writes it, and all that leaves by it."""

    at: datetime
    page: Page


def simulate(
    *,
    policy: Policy,
    at: datetime,
    until: datetime,
    look: Callable[[datetime], World],
    limit: int,
) -> Iterator[Moment]:
    """Yield the pages of an incident that opens at `at`, up to `until`, at most `limit`.

    `look` returns who and what can be reached at a moment. Everything that leaves is
    taken to arrive. A digest policy yields nothing.
    """
    progress = Progress(began_at=at)
    now, written, is_untold = at, 0, False
    for _number in range(limit):
        steps = planning.due(policy=policy, progress=progress, now=now)
        progress = planning.after(
            policy=policy, progress=progress, steps=steps, now=now
        )
        if is_untold:
            steps = tuple(sorted({*steps, *progress.started}))
        if steps:
            page = decide(policy=policy, steps=steps, world=look(now))
            is_untold = page.is_for_nobody
            written += not is_untold
            yield Moment(at=now, page=page)
        following = _next(policy, progress, now, written, is_untold=is_untold)
        if following is None or following > until:
            return
        now = following


def _next(
    policy: Policy,
    progress: Progress,
    now: datetime,
    written: int,
    *,
    is_untold: bool,
) -> datetime | None:
    at = planning.next_at(policy=policy, progress=progress)
    if not is_untold:
        return at
    retry_at = planning.next_untold_try(page_count=written, now=now)
    return min(at, retry_at) if at is not None else retry_at
