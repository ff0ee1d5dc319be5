"""Histograms of latencies that merge, so that a 90-day p95 is a p95 (design §5.7).

Pure. Buckets grow by a fixed factor, as in DDSketch (Masson, Rim, Lee 2019): bucket `i`
holds the values from `GAMMA ** (i - 1)` (excluded) to `GAMMA ** i` milliseconds and
answers with the value whose relative error is the same at both its ends: 2.44 %.
A histogram is sparse: sorted bucket numbers and, beside them, their counts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

GAMMA = 1.05
# Below a microsecond everything counts as that: no clock of ours is finer.
SMALLEST_MS = 0.001
# Above this (31 years) everything counts as that, so that a number always fits.
LARGEST_MS = 1e12

_LN_GAMMA = math.log(GAMMA)

# The same formula for PostgreSQL; `{}` is a double precision number of milliseconds.
SQL_BUCKET = (
    f"ceil(ln(least(greatest({{}}, {SMALLEST_MS!r}), {LARGEST_MS!r}::float8))"
    f" / {_LN_GAMMA!r}::float8)::smallint"
)

Histogram = tuple[list[int], list[int]]


def bucket_of(ms: float) -> int:
    """Return the bucket of a duration in milliseconds.

    Raises ValueError for NaN.
    """
    if math.isnan(ms):
        raise ValueError("NaN is no duration")
    return math.ceil(math.log(min(max(ms, SMALLEST_MS), LARGEST_MS)) / _LN_GAMMA)


def value_of(bucket: int) -> float:
    """Return the milliseconds that stand for a bucket."""
    return 2 * GAMMA**bucket / (GAMMA + 1)


def add(*, buckets: Sequence[int], counts: Sequence[int], ms: float) -> Histogram:
    """Return a histogram with one more value, in milliseconds."""
    return merge([(buckets, counts), ([bucket_of(ms)], [1])])


def merge(histograms: Iterable[tuple[Sequence[int], Sequence[int]]]) -> Histogram:
    """Return the histogram of all the values of several."""
    total: Counter[int] = Counter()
    for buckets, counts in histograms:
        for bucket, count in zip(buckets, counts, strict=True):
            total[bucket] += count
    merged = sorted(total)
    return merged, [total[bucket] for bucket in merged]


def quantile(
    *, buckets: Sequence[int], counts: Sequence[int], q: float
) -> float | None:
    """Return the q-quantile (0 to 1) in milliseconds, None of an empty histogram.

    By nearest rank, within 2.44 % of the value that has that rank. Raises ValueError for
    a `q` out of range.
    """
    if not 0 <= q <= 1:
        raise ValueError(f"{q} is not between 0 and 1")
    rank = max(math.ceil(q * sum(counts)), 1)
    seen = 0
    for bucket, count in zip(buckets, counts, strict=True):
        seen += count
        if seen >= rank:
            return value_of(bucket)
    return None
