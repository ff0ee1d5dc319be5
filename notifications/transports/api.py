"""One request to a provider's API, bounded in time and size, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from django.utils.translation import gettext as _

from notifications.backoff import parse_retry_after
from notifications.transports.base import Account, TransportError, shorten
from notifications.transports.http import NOT_LEFT
from t4g_portal.lib.egress import BlockedAddress, guarded_client

# With a look at what was sent after a lost answer, well within a lease.
DEADLINE_S = 10.0
MAX_ANSWER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What came back; `json` is an empty mapping when it was no JSON object."""

    status: int
    text: str
    json: Any
    retry_after_s: float | None

    @property
    def is_taken(self) -> bool:
        """Whether it was done."""
        return 200 <= self.status < 300

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may do later."""
        return self.status in {408, 425, 429} or self.status >= 500


def call(
    *,
    account: Account,
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes = b"",
    deadline_s: float | None = None,
) -> ApiAnswer:
    """Ask and return the answer, whatever its status; raises TransportError.

    An error `is_perhaps_taken` unless the request is known not to have left.
    """
    deadline_s = deadline_s or DEADLINE_S
    try:
        with guarded_client(timeout_s=deadline_s, may_use_private=True) as client:
            response = client.request(
                method, url, headers=dict(headers), content=content or None
            )
    except BlockedAddress as error:
        raise TransportError(
            _("%(reason)s. List its network in EGRESS_ALLOWED_NETWORKS to allow it.")
            % {"reason": error},
            permanent=True,
            is_providers_fault=True,
        ) from None
    except httpx.TimeoutException as error:
        raise TransportError(
            _("%(name)s gave no answer within %(seconds)d s.")
            % {"name": account.name, "seconds": deadline_s},
            permanent=False,
            is_providers_fault=True,
            is_perhaps_taken=not isinstance(error, NOT_LEFT),
        ) from None
    except (httpx.TransportError, httpx.InvalidURL) as error:
        reason = account.scrub(str(error)) or type(error).__name__
        raise TransportError(
            _("The connection to %(name)s failed: %(reason)s")
            % {"name": account.name, "reason": reason},
            permanent=False,
            is_providers_fault=True,
            is_perhaps_taken=not isinstance(error, (*NOT_LEFT, httpx.InvalidURL)),
        ) from None
    return ApiAnswer(
        status=response.status_code,
        text=shorten(account.scrub(response.text[:4096])),
        json=_object(response.content),
        retry_after_s=parse_retry_after(
            response.headers.get("Retry-After"), now=datetime.now(UTC)
        ),
    )


def _object(content: bytes) -> Any:
    if len(content) > MAX_ANSWER_BYTES:
        return {}
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, (dict, list, int)) else {}
