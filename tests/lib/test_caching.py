"""The cache of production while Redis is there, and while it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.exceptions import RedisError

from bench.portal import free_port
from t4g_portal.lib.caching import ForgetfulRedisCache
from tests.flows.stores import Redis


def make_cache(url: str) -> ForgetfulRedisCache:
    return ForgetfulRedisCache(url, {"OPTIONS": {"socket_timeout": 1}})


def test_redis_remembers(tmp_path: Path):
    redis = Redis(tmp_path)
    cache = make_cache(f"redis://:{redis.password}@127.0.0.1:{redis.port}/0")

    cache.set("a", [1])
    assert cache.set_many({"b": 2, "c": 3}) == []

    assert cache.get("a") == [1]
    assert cache.get_many(["b", "c", "d"]) == {"b": 2, "c": 3}
    cache.close()
    redis.kill()


def test_lost_redis_has_forgotten_everything(caplog: pytest.LogCaptureFixture):
    cache = make_cache(f"redis://127.0.0.1:{free_port()}/0")

    cache.set("a", 1)
    assert cache.set_many({"b": 2}) == ["b"]

    assert cache.get("a", "nothing") == "nothing"
    assert cache.get_many(["a", "b"]) == {}
    assert "the cache does not answer" in caplog.text


def test_lost_redis_is_told_where_it_is_relied_on():
    cache = make_cache(f"redis://127.0.0.1:{free_port()}/0")

    for rely in (cache.delete, cache.incr, lambda key: cache.add(key, 1)):
        with pytest.raises(RedisError):
            rely("a")
