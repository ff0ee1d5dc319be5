"""One POST to a stranger's server, bounded in time and size, and what its status means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
from django.utils.translation import gettext as _

from notifications.backoff import parse_retry_after
from notifications.transports.base import Destination, TransportError, shorten
from notifications.validation import url_problem
from t4g_portal.lib.egress import BlockedAddress, guarded_client

DEADLINE_S = 15.0
MAX_ANSWER_BYTES = 4096
_TEMPORARY_4XX = frozenset({408, 425, 429})
# These fail before the request has left us; after any other, it may have been taken.
NOT_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `text` is the start of the body, without secrets."""

    status: int
    text: str
    retry_after_s: float | None

    @property
    def is_taken(self) -> bool:
        """Whether the receiver took the message."""
        return 200 <= self.status < 300

    @property
    def is_permanent(self) -> bool:
        """Whether another try would end the same. Redirects are not followed."""
        return 300 <= self.status < 500 and self.status not in _TEMPORARY_4XX


def post(
    *, url: str, content: bytes, headers: dict[str, str], destination: Destination
) -> Answer:
    """Send JSON and return the answer, whatever its status; raises TransportError."""
    problem = url_problem(url) if url else _("The URL is missing. Enter it.")
    if problem:
        raise TransportError(problem, permanent=True)
    try:
        with (
            guarded_client(timeout_s=DEADLINE_S, may_use_private=True) as client,
            client.stream(
                "POST",
                url,
                content=content,
                headers={"Content-Type": "application/json", **headers},
            ) as response,
        ):
            return Answer(
                status=response.status_code,
                text=shorten(destination.scrub(_beginning(response))),
                retry_after_s=parse_retry_after(
                    response.headers.get("Retry-After"), now=datetime.now(UTC)
                ),
            )
    except BlockedAddress as error:
        raise TransportError(
            _("%(reason)s. List its network in EGRESS_ALLOWED_NETWORKS to allow it.")
            % {"reason": error},
            permanent=True,
        ) from None
    except httpx.TimeoutException as error:
        raise TransportError(
            _("No answer within %(seconds)d s.") % {"seconds": DEADLINE_S},
            permanent=False,
            is_perhaps_taken=not isinstance(error, NOT_LEFT),
        ) from None
    except httpx.TransportError as error:
        raise TransportError(
            _("The connection failed: %(reason)s")
            % {"reason": destination.scrub(str(error)) or type(error).__name__},
            permanent=False,
            is_perhaps_taken=not isinstance(error, NOT_LEFT),
        ) from None


def _beginning(response: httpx.Response) -> str:
    """Read the first bytes of the body; the status has answered already without it."""
    body = b""
    try:
        for chunk in response.iter_raw():
            body += chunk
            if len(body) >= MAX_ANSWER_BYTES:
                break
    except httpx.TransportError:
        pass
    return body[:MAX_ANSWER_BYTES].decode("utf-8", "replace")
