"""The shared cache of production. It remembers what can be worked out again."""

from __future__ import annotations

import logging
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


class ForgetfulRedisCache(RedisCache):
    """Knows nothing while Redis is away, so that pages go on, slower.

    Only to read and to remember is forgiven. Whoever deletes, adds or counts relies on
    it: that still raises RedisError.
    """

    def get(self, key: Any, default: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return what is remembered, or the default."""
        try:
            return super().get(key, default, *args, **kwargs)
        except RedisError as error:
            _forgive(error)
            return default

    def get_many(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """Return what is remembered of these keys."""
        try:
            return super().get_many(*args, **kwargs)
        except RedisError as error:
            _forgive(error)
            return {}

    def set(self, *args: Any, **kwargs: Any) -> None:
        """Remember a value."""
        try:
            super().set(*args, **kwargs)
        except RedisError as error:
            _forgive(error)

    def set_many(self, data: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """Remember values; return the keys of those that were not."""
        try:
            return super().set_many(data, *args, **kwargs)
        except RedisError as error:
            _forgive(error)
            return list(data)


def _forgive(error: RedisError) -> None:
    logger.warning("the cache does not answer: %s", error)
