"""The demo's business figures at any moment, made up but steady: growth, weekdays, luck.

The platform answers with them and the past is written from them, so that both agree.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

_DAY = timedelta(days=1)
_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
# A usual day's count, its growth in a year, what a weekend leaves of it, its spread.
_USUAL: Mapping[str, tuple[float, float, float, float]] = {
    "active_users": (260, 0.9, 0.6, 0.06),
    "lightning_transactions": (310, 1.4, 0.75, 0.09),
    "mentoring_sessions": (11, 0.5, 0.25, 0.2),
    "tokens_distributed": (4_600, 1.1, 0.7, 0.12),
}
# Active users of a week are not seven days' sums: most come more than once.
_COME_AGAIN = 0.55


def at(moment: datetime) -> dict[str, int]:
    """Return what `/api/metrics/business` says at a moment."""
    return {
        "active_users_7d": round(_last(7, "active_users", moment) * _COME_AGAIN),
        "lightning_transactions_24h": round(_last(1, "lightning_transactions", moment)),
        "mentoring_sessions_7d": round(_last(7, "mentoring_sessions", moment)),
        "tokens_distributed_24h": round(_last(1, "tokens_distributed", moment)),
    }


def _last(days: int, name: str, moment: datetime) -> float:
    """Return the sum over the days that end at a moment, parts of days included."""
    number, part = divmod((moment - _EPOCH) / _DAY, 1)
    counts = [_of_day(name, int(number) - back) for back in range(days + 1)]
    return part * counts[0] + sum(counts[1:days]) + (1 - part) * counts[days]


def _of_day(name: str, number: int) -> float:
    usual, growth, weekend, spread = _USUAL[name]
    is_weekend = (_EPOCH + number * _DAY).weekday() >= 5
    luck = random.Random(f"{name}:{number}").gauss(0, spread)  # noqa: S311 no secret
    grown = usual * math.pow(1 + growth, number / 365)
    return grown * (weekend if is_weekend else 1) * math.exp(luck)
