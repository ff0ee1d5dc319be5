"""The bucket of tokens."""

from __future__ import annotations

from t4g_portal.lib.rate_limit import RateLimit


def test_one_flood_leaves_the_others_alone():
    limit = RateLimit(burst=1, per_second=1)
    limit.allows("a", at=0)

    assert not limit.allows("a", at=0.5)
    assert limit.allows("b", at=0.5)


def test_tokens_come_back_with_time():
    limit = RateLimit(burst=2, per_second=1)
    for _ in range(2):
        limit.allows("a", at=0)

    assert not limit.allows("a", at=0.9)
    assert limit.allows("a", at=2)
    assert limit.allows("a", at=100)
    assert limit.allows("a", at=100)
    assert not limit.allows("a", at=100)


def test_memory_is_bounded():
    limit = RateLimit(burst=1, per_second=1, max_keys=10)

    for number in range(1000):
        limit.allows(str(number), at=0)

    assert len(limit._buckets) == 10
