"""What carries a message to which destination, and what its provider must have. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from notifications.models import Address, Channel

# (carrier, kind of provider) → what an account needs before it can carry that.
# A carrier that stands here goes through a provider; the others go by themselves.
NEEDED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("sms", "twilio"): ("account", "secret", "sender"),
    ("sms", "ovh"): ("account", "key_id", "secret", "second_secret"),
    ("voice", "twilio"): ("account", "secret", "voice_sender"),
    ("slack_bot", "slack"): ("secret",),
}
# How a person is told → what carries that.
BY_METHOD: Mapping[str, str] = {
    "email": "email",
    "sms": "sms",
    "voice": "voice",
    "slack": "slack_bot",
}
# Whoever carries these says later whether they arrived.
REPORTED = frozenset({"sms", "voice"})


def carrier(
    *, channel: Channel | None, address: Address | None, method: str = ""
) -> str:
    """Return what carries a message there; `method` decides where there is a choice."""
    if channel is not None:
        return channel.kind
    assert address is not None  # noqa: S101 what has neither is refused before
    if address.kind == "phone":
        return "voice" if method == "voice" else "sms"
    return BY_METHOD.get(address.kind, address.kind)


def needs_provider(carrier: str) -> bool:
    """Whether messages go through an account at a provider."""
    return any(carrier == able for able, _kind in NEEDED)
