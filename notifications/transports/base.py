"""What every transport takes, returns and raises."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from notifications.message import Message

MAX_DETAIL = 500
# Shorter parts of a secret URL are words such as "services", not secrets.
_MIN_SECRET_PART = 8


@dataclass(frozen=True, slots=True)
class Account:
    """A provider's account, opened: what a transport needs to speak for us."""

    id: int
    kind: str
    name: str
    account: str = ""
    key_id: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    second_secret: str = field(default="", repr=False)
    sender: str = ""
    voice_sender: str = ""

    @property
    def basic_pair(self) -> str:
        """Account and secret as HTTP's basic authentication sends them (RFC 7617)."""
        return base64.b64encode(f"{self.account}:{self.secret}".encode()).decode()

    def scrub(self, text: str) -> str:
        """Return `text` without the account's secrets."""
        parts = _telling_parts(self.secret) | _telling_parts(self.second_secret)
        if self.secret:
            parts.add(self.basic_pair)
        for part in sorted(parts, key=len, reverse=True):
            text = text.replace(part, "•••")
        return text


@dataclass(frozen=True, slots=True)
class Earlier:
    """A try whose outcome nobody knows: when it was, and what it said."""

    at: datetime
    message: Message


@dataclass(frozen=True, slots=True)
class Posted:
    """A message of the same thread that stands at a destination and can be edited."""

    channel: str
    ts: str
    # The log of what happened, which stands in the thread.
    is_log: bool = False


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one message goes; everything a transport needs without the database."""

    # "channel:3" or "address:7": the same for every message that goes there.
    key: str
    kind: str
    address: str = field(repr=False)
    secret: str = field(default="", repr=False)
    # Whose account carries it, where it needs one.
    account: Account | None = None
    # Where the provider reports what became of it, and what a key on the phone did.
    status_url: str = ""
    keypress_url: str = ""
    # The first try that may have reached it. Who can, looks for that before sending.
    earlier: Earlier | None = None
    # What stands there already about the same, the oldest first.
    posted: tuple[Posted, ...] = ()

    def scrub(self, text: str) -> str:
        """Return `text` without this destination's secret, or any telling part of it."""
        if self.account is not None:
            text = self.account.scrub(text)
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
    # What the provider calls it in its reports.
    message_id: str = ""


class TransportError(Exception):
    """The message was not taken. `permanent`: another try would end the same.

    `detail` is for people and holds no secret; `retry_after_s` is what the receiver
    asked for, in seconds. `is_providers_fault`: another provider may well take it.
    `is_perhaps_taken`: the answer was lost, not the message.
    """

    def __init__(
        self,
        detail: str,
        *,
        permanent: bool,
        retry_after_s: float | None = None,
        is_providers_fault: bool = False,
        is_perhaps_taken: bool = False,
    ) -> None:
        self.permanent = permanent
        self.retry_after_s = retry_after_s
        self.is_providers_fault = is_providers_fault
        self.is_perhaps_taken = is_perhaps_taken
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


@dataclass(frozen=True, slots=True)
class Said:
    """What a provider says of a message later: sent (handed on), delivered or failed.

    `detail` is in its own words.
    """

    status: str
    detail: str = ""


class Reporting(Protocol):
    """A transport whose provider knows later what became of a message."""

    def ask(self, account: Account, message_id: str) -> Said | None:
        """Return what it says now, None when nothing yet; raises TransportError."""
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
    elif "://" in secret:
        # An Apprise URL, whose parts are tokens.
        pieces = re.split(r"[/?&=:@]+", secret.partition("://")[2])
        parts |= {piece for piece in pieces if len(piece) >= _MIN_SECRET_PART}
    else:
        parts.add(secret.removeprefix("whsec_"))
    return parts | {quote(part, safe="") for part in parts}
