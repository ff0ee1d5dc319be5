"""How many requests a minute: by key or person, and by address for everybody else."""

from __future__ import annotations

import math
from dataclasses import dataclass

from django.conf import settings
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from t4g_portal.lib import counting
from t4g_portal.lib.client_address import client_network
from t4g_portal.lib.models import ApiKey

WINDOW_S = 60


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands with their limit."""

    name: str
    limit: int
    remaining: int
    ends_in_s: int

    def headers(self) -> dict[str, str]:
        """Return the headers of draft-ietf-httpapi-ratelimit-headers-10."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.limit};w={WINDOW_S}',
            "RateLimit": f'"{self.name}";r={self.remaining};t={self.ends_in_s}',
        }


class TooMany(Throttled):
    """The limit of the minute is behind; carries where one stands."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(wait=standing.ends_in_s)
        self.standing = standing


def count_known(request: Request) -> Standing:
    """Count a request of a key or a person; raises TooMany."""
    key = request.auth
    who = f"key:{key.pk}" if isinstance(key, ApiKey) else f"user:{request.user.pk}"
    return _count("key", who, settings.API_REQUESTS_PER_MINUTE)


def count_unknown(request: Request) -> Standing:
    """Count a request that nobody vouches for, by its address; raises TooMany."""
    network = client_network(request)
    return _count("address", f"address:{network}", settings.API_REFUSALS_PER_MINUTE)


def _count(name: str, who: str, limit: int) -> Standing:
    found = counting.count(f"api:{who}", window_s=WINDOW_S)
    ends_in_s = max(1, math.ceil(found.ends_in_s))
    if found.count > limit:
        raise TooMany(Standing(name, limit, 0, ends_in_s))
    return Standing(name, limit, limit - found.count, ends_in_s)
