"""How often thresholds are looked at, how far back, and what is worth keeping. Pure.

The engine's rounds and the replay of history share these rules.
"""

from __future__ import annotations

import math
from datetime import timedelta

from monitors.thresholds.judging import Level, Standing

# Beat's `monitors.judge`.
TICK_S = 10
# How far back single results are looked at. A probe may take two minutes, and the tick
# may miss some turns.
LOOKBACK = timedelta(minutes=5)
# A long window moves slowly: it is looked at sixty times in its length, not more.
_LOOKS_A_WINDOW = 60
_LOOK_S = 20


def is_due(*, window_s: int, at: float) -> bool:
    """Whether a window is looked at in the tick of `at`, in seconds since the epoch.

    A slot of each of its sixtieths.
    """
    return at % _step_s(window_s) < _LOOK_S


def first_due_tick(tick: float, window_s: int) -> float:
    """Return the first tick from `tick` on in which a window is looked at."""
    if is_due(window_s=window_s, at=tick):
        return tick
    step_s = _step_s(window_s)
    slot = (tick // step_s + 1) * step_s
    return math.ceil(slot / TICK_S) * float(TICK_S)


def is_worth_writing(before: Standing, after: Standing, *, is_series: bool) -> bool:
    """Whether forgetting a standing would lose anything.

    Pages show the value of what fires. A series is judged by every value it ever gets,
    so how far that went is kept; of a monitor the last minutes can be read again.
    """
    if after == before:
        return False
    return is_series or after.differs_from(before) or after.level is not Level.OK


def _step_s(window_s: int) -> int:
    return max(window_s // _LOOKS_A_WINDOW, 1)
