"""Which addresses may be reached. Pure, but for one look at the settings.

The tables are ours and complete: `ipaddress.is_private` misses 100.64.0.0/10, and
`is_global` says yes to NAT64, 6to4, site-local and multicast addresses, with answers
that change between Python versions. `is_global` is only the second net.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import pgettext

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Never reachable, listed or not: addresses that hand out credentials of the machine we
# run on, that mean nobody in particular, or that carry another address inside.
_NEVER: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("169.254.0.0/16", "metadata"),
        ("100.100.100.200/32", "metadata"),  # Alibaba
        ("168.63.129.16/32", "metadata"),  # Azure
        ("192.0.0.192/32", "metadata"),  # Oracle
        ("fd00:ec2::/32", "metadata"),  # Amazon
        ("fd20:ce::/32", "metadata"),  # Google
        ("fe80::/10", "metadata"),
        ("0.0.0.0/8", "unspecified"),
        ("::/128", "unspecified"),
        ("224.0.0.0/4", "multicast"),
        ("ff00::/8", "multicast"),
        ("255.255.255.255/32", "multicast"),
        ("192.88.99.0/24", "translated"),
        ("2001::/32", "translated"),
        ("2002::/16", "translated"),
        ("64:ff9b:1::/48", "translated"),
    )
)
# Reachable where the installation lists them and the caller may use private targets.
_UNLESS_LISTED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("127.0.0.0/8", "loopback"),
        ("::1/128", "loopback"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("100.64.0.0/10", "private"),
        ("fc00::/7", "private"),
        ("fec0::/10", "private"),
        ("64:ff9b::/96", "translated"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "reserved"),
        ("198.18.0.0/15", "reserved"),
        ("198.51.100.0/24", "reserved"),
        ("203.0.113.0/24", "reserved"),
        ("240.0.0.0/4", "reserved"),
        ("100::/64", "reserved"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "reserved"),
        ("3fff::/20", "reserved"),
        ("5f00::/16", "reserved"),
    )
)
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
_V4_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")


class BlockedAddress(Exception):
    """The guard refuses the address a name leads to.

    `reason` is the class of the address (private, loopback, metadata, multicast,
    unspecified, translated, reserved, socket). The text never holds the address:
    a person who may configure a target need not learn what our network looks like.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return {
            "private": pgettext("stored", "The target is on a private network"),
            "loopback": pgettext("stored", "The target is this machine itself"),
            "metadata": pgettext(
                "stored", "The target is a link-local or metadata address"
            ),
            "multicast": pgettext("stored", "The target is a multicast address"),
            "unspecified": pgettext("stored", "The target's address means no host"),
            "translated": pgettext(
                "stored", "The target's address hides another address"
            ),
            "socket": pgettext("stored", "Local sockets can't be targets"),
        }.get(self.reason, pgettext("stored", "The target is in a reserved network"))


@lru_cache(maxsize=8192)
def _classify(address: Address) -> tuple[str, bool]:
    """The reason to refuse (empty: none) and whether a listing overrules it."""
    for network, reason in _NEVER:
        if address in network:
            return reason, False
    for network, reason in _UNLESS_LISTED:
        if address in network:
            return reason, True
    if isinstance(address, IPv6Address):
        if address in _V4_COMPATIBLE:
            return "translated", False
        if address not in _GLOBAL_UNICAST_V6:
            return "reserved", True
    if not address.is_global:
        return "reserved", True
    return "", False


def check_address(
    ip: str | Address, *, allowed_networks: Sequence[Network] = ()
) -> Address:
    """The address to connect to, with an IPv4-mapped one unwrapped.

    `allowed_networks` opens private, loopback and reserved ranges, never metadata,
    link-local, multicast or address-carrying ones. Raises BlockedAddress, and
    ValueError when `ip` is no address at all.
    """
    address = ip_address(ip) if isinstance(ip, str) else ip
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise BlockedAddress("metadata")
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
    reason, is_listable = _classify(address)
    if not reason:
        return address
    if not is_listable or not any(address in network for network in allowed_networks):
        raise BlockedAddress(reason)
    if address in _NAT64:
        # A listed NAT64 gateway may carry us to what we could also reach directly.
        check_address(
            IPv4Address(int(address) & 0xFFFFFFFF), allowed_networks=allowed_networks
        )
    return address


@lru_cache(maxsize=16)
def _parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(text.strip()) for text in texts)
    except ValueError as exc:
        raise ImproperlyConfigured(f"EGRESS_ALLOWED_NETWORKS: {exc}") from exc


def allowed_networks(*, may_use_private: bool) -> tuple[Network, ...]:
    """What the installation opens to a caller: its listed networks, or nothing.

    Raises ImproperlyConfigured when `EGRESS_ALLOWED_NETWORKS` holds no network.
    """
    if not may_use_private:
        return ()
    return _parse_networks(tuple(settings.EGRESS_ALLOWED_NETWORKS))
