"""The ping to whoever watches the portal from outside: its silence is the alarm."""

from __future__ import annotations

import logging

import httpx
from django.conf import settings

from t4g_portal.lib.egress import BlockedAddress, guarded_client

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0


def ping() -> bool:
    """GET `DEADMAN_URL` if there is one; return whether it answered 2xx. No errors.

    A ping that fails needs no retry: the next one is a minute away, and whoever waits for
    it allows for some. The address is a secret and stands in no log.
    """
    if not settings.DEADMAN_URL:
        return False
    try:
        with guarded_client(timeout_s=TIMEOUT_S, may_use_private=True) as client:
            response = client.get(settings.DEADMAN_URL)
    except (httpx.HTTPError, httpx.InvalidURL, BlockedAddress) as error:
        logger.warning("no dead-man ping: %s", type(error).__name__)
        return False
    if not response.is_success:
        logger.warning("dead-man ping answered HTTP %d", response.status_code)
    return response.is_success
