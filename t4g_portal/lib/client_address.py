"""From which address a request came, behind as many proxies as we know of."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the client's address, or "" when there is none.

    Each trusted proxy adds on the right of X-Forwarded-For whom it saw; what stands
    further left is the client's own word and counts for nothing.
    """
    found = request.META.get("REMOTE_ADDR", "")
    count = settings.TRUSTED_PROXY_COUNT
    if count:
        seen = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(seen) >= count:
            found = seen[-count]
    try:
        return str(ip_address(found.strip()))
    except ValueError:
        return ""


def client_network(request: HttpRequest) -> str:
    """Return what one customer of a provider has: an IPv4 address or an IPv6 /64."""
    text = client_address(request)
    address = ip_address(text) if text else None
    if not isinstance(address, IPv6Address):
        return text
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))
