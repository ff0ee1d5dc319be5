"""Which step runs at what moment. Times in seconds count from the start of escalation.

A step's runs stand on a grid: its start, then every `repeat_s`. A run outside of the
step's hours waits until they begin. Missed runs are made up for by one, so an engine
that was away pages once, and not again within half a repeat; and whatever comes and
goes can't put a run off for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from incidents.escalation import hours
from incidents.escalation.policy import Policy, Step

# When nobody could be told, the first new try; each paged try doubles the wait.
UNTOLD_RETRY = timedelta(minutes=5)
UNTOLD_RETRY_DOUBLINGS = 4


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an escalation is: when it began, and how many runs of each step are past."""

    began_at: datetime
    runs: tuple[int, ...] = ()

    def past(self, index: int) -> int:
        """Return how many runs of a step are past."""
        return self.runs[index] if index < len(self.runs) else 0

    @property
    def started(self) -> tuple[int, ...]:
        """The steps that have run."""
        return tuple(index for index, past in enumerate(self.runs) if past)

    def stored(self) -> list[int]:
        """Return what an incident keeps beside the time."""
        return list(self.runs)


def read_progress(*, began_at: datetime, runs: Iterable[Any]) -> Progress:
    """Read back what an incident keeps."""
    return Progress(began_at=began_at, runs=tuple(int(past) for past in runs))


def due(*, policy: Policy, progress: Progress, now: datetime) -> tuple[int, ...]:
    """Return the steps whose time has come, by their place."""
    if policy.is_digest:
        return ()
    return tuple(
        index
        for index in range(len(policy.steps))
        if (at := _next_run(policy, progress, index)) is not None and at <= now
    )


def next_at(*, policy: Policy, progress: Progress) -> datetime | None:
    """Return when the next step runs; None when none does any more."""
    if policy.is_digest:
        return None
    runs = (_next_run(policy, progress, index) for index in range(len(policy.steps)))
    return min((at for at in runs if at is not None), default=None)


def next_step(*, policy: Policy, progress: Progress) -> int | None:
    """Return which step runs next, by its place; None when none does any more."""
    if policy.is_digest:
        return None
    runs = [
        (at, index)
        for index in range(len(policy.steps))
        if (at := _next_run(policy, progress, index)) is not None
    ]
    return min(runs)[1] if runs else None


def after(
    *, policy: Policy, progress: Progress, steps: Iterable[int], now: datetime
) -> Progress:
    """Return the progress once some steps have run at `now`."""
    runs = [progress.past(index) for index in range(len(policy.steps))]
    for index in steps:
        runs[index] = max(runs[index] + 1, _passed(policy.steps[index], progress, now))
    return replace(progress, runs=tuple(runs))


def skipping_first(*, policy: Policy, began_at: datetime, now: datetime) -> Progress:
    """Return the progress of a policy that takes over from a more urgent one.

    What it does at once counts as done: somebody was told worse already. Its later
    steps come at their time, those whose time is past at once.
    """
    progress = Progress(began_at=began_at, runs=(0,) * len(policy.steps))
    at_once = [index for index, step in enumerate(policy.steps) if not step.after_s]
    return after(policy=policy, progress=progress, steps=at_once, now=now)


def leap(
    *, policy: Policy, progress: Progress, now: datetime
) -> tuple[Progress, tuple[int, ...]]:
    """Return the progress and the steps to run when somebody asks for the next one now.

    The clock is put forward, or back, to the first step that has not run, so the later
    ones keep their distance from it. When all have run, the last one runs again.
    """
    waiting = [index for index in range(len(policy.steps)) if not progress.past(index)]
    if not waiting:
        last = len(policy.steps) - 1
        return progress, (last,) if policy.steps else ()
    began_at = now - timedelta(seconds=policy.steps[waiting[0]].after_s)
    is_earlier = began_at <= progress.began_at
    moved = replace(progress, began_at=began_at)
    steps = [
        index
        for index in waiting
        if policy.steps[index].after_s == policy.steps[waiting[0]].after_s
    ]
    # Repeats of earlier steps whose time has been leapt over are not made up for.
    runs = [
        max(
            past if is_earlier else 1,
            _passed(policy.steps[index], moved, now),
        )
        if past
        else 0
        for index, past in enumerate(moved.runs)
    ]
    moved = replace(moved, runs=tuple(runs))
    return after(policy=policy, progress=moved, steps=steps, now=now), tuple(steps)


def next_untold_try(*, page_count: int, now: datetime) -> datetime:
    """Return when to try again after nobody could be told.

    `page_count`: pages written so far; channels that refuse them are asked ever more
    rarely, at the latest after 80 minutes.
    """
    doublings = min(page_count, UNTOLD_RETRY_DOUBLINGS)
    return now + UNTOLD_RETRY * (1 << doublings)


def _next_run(policy: Policy, progress: Progress, index: int) -> datetime | None:
    step, number = policy.steps[index], progress.past(index)
    if number and not step.repeat_s:
        return None
    if step.repeat_limit and number > step.repeat_limit:
        return None
    at = _start(step, progress) + timedelta(seconds=step.repeat_s) * number
    return hours.opening(step.hours, at)


def _passed(step: Step, progress: Progress, now: datetime) -> int:
    """Return how many runs of a step's grid lie before `now` or too close after it."""
    waited = now - _start(step, progress)
    if waited < timedelta():
        return 0
    if not step.repeat_s:
        return 1
    repeat = timedelta(seconds=step.repeat_s)
    return (waited + repeat / 2) // repeat + 1


def _start(step: Step, progress: Progress) -> datetime:
    at = progress.began_at + timedelta(seconds=step.after_s)
    return hours.opening(step.hours, at)
