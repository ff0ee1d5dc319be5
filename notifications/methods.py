"""The ways to tell a person: what kind of address each needs, and which can be used now."""

from __future__ import annotations

from collections.abc import Mapping

from notifications.carriers import BY_METHOD
from notifications.providers import reachable_carriers
from notifications.transports import registry

# Method → kind of address. The labels are `models.contact.method_kinds`.
ADDRESS_KIND: Mapping[str, str] = {
    "sms": "phone",
    "voice": "phone",
    "slack": "slack",
    "email": "email",
}
# What an address is told by where nobody says how.
DEFAULT_METHOD: Mapping[str, str] = {"phone": "sms", "slack": "slack", "email": "email"}


def usable_methods() -> frozenset[str]:
    """Return the methods that something can carry now, in one query at most.

    E-mail always: without a mail server the messages are kept.
    """
    reachable = reachable_carriers()
    return frozenset(
        method
        for method in ADDRESS_KIND
        if (by := BY_METHOD[method]) == "email"
        or (by in reachable and registry.is_known(by))
    )


def methods_of(*, kind: str, usable: frozenset[str]) -> tuple[str, ...]:
    """Return the usable methods that lead to a kind of address."""
    return tuple(
        method
        for method, address_kind in ADDRESS_KIND.items()
        if address_kind == kind and method in usable
    )
