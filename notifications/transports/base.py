"""What every transport takes, returns and raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from notifications.message import Message

MAX_DETAIL = 500
# Shorter parts of a secret URL are words such as "services", not secrets.
_MIN_SECRET_PART = 8


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one message goes; everything a transport needs without the database."""

    # "channel:3" or "address:7": the same for every message that goes there.
    key: str
    kind: str
    address: str = field(repr=False)
    secret: str = field(default="", repr=False)

    def scrub(self, text: str) -> str:
        """Return `text` without this destination's secret, or any telling part of it."""
        parts = _telling_parts(self.secret)
        if urlsplit_or_none(self.address):
            # The address of a webhook is no secret, but what stands behind its host
            # often works like one.
            parts |= _telling_parts(self.address)
        for part in sorted(parts, key=len, reverse=True):
            text = text.replace(part, "•••")
        return text


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the receiver answered to a message that it took."""

    detail: Mapping[str, Any]
    # Taken, but not all is well: one recipient of several was refused, for example.
    warning: str = ""


class TransportError(Exception):
    """The message was not taken. `permanent`: another try would end the same.

    `detail` is for people and holds no secret; `retry_after_s` is what the receiver
    asked for, in seconds.
    """

    def __init__(
        self, detail: str, *, permanent: bool, retry_after_s: float | None = None
    ) -> None:
        self.permanent = permanent
        self.retry_after_s = retry_after_s
        self.detail = shorten(detail)
        super().__init__(self.detail)


class Transport(Protocol):
    """One way to send."""

    def send(
        self, *, destination: Destination, message: Message, idempotency_key: str
    ) -> Receipt:
        """Send now, within the transport's own hard deadline; raises TransportError.

        Runs in a thread without a database connection. The key goes to the receiver, so
        that it can recognize a repetition.
        """
        ...


def shorten(text: str, limit: int = MAX_DETAIL) -> str:
    """One readable line of what a stranger's server said."""
    line = re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\s]+", " ", text).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def urlsplit_or_none(url: str) -> Any:
    """Split an http(s) URL, or None for anything else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} else None


def _telling_parts(secret: str) -> set[str]:
    if not secret:
        return set()
    parts = {secret}
    split = urlsplit_or_none(secret)
    if split is not None:
        behind_host = split.path + (f"?{split.query}" if split.query else "")
        pieces = re.split(r"[/?&=]", behind_host)
        parts |= {
            piece for piece in (behind_host, *pieces) if len(piece) >= _MIN_SECRET_PART
        }
        parts.discard("services")
    else:
        parts.add(secret.removeprefix("whsec_"))
    return parts | {quote(part, safe="") for part in parts}
