"""Host names and ports as people type them. One parser for all: `httpx.URL`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address

import httpx
from django.utils.translation import pgettext

from monitors.probes.base import UnableToParse

MAX_TARGET_LENGTH = 2000
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host in ASCII (IDNA, or an address without brackets) and a port."""

    host: str
    port: int


def check_length(target: str) -> None:
    """Raise UnableToParse for an empty, overlong or unprintable target."""
    if not target.strip():
        raise UnableToParse("target", pgettext("stored", "Say what to probe"))
    if len(target) > MAX_TARGET_LENGTH:
        raise UnableToParse(
            "target",
            pgettext("stored", "At most %(count)d characters")
            % {"count": MAX_TARGET_LENGTH},
        )
    if not target.isprintable() or target != target.strip():
        raise UnableToParse(
            "target", pgettext("stored", "Spaces and control characters around")
        )


def check_host(host: str) -> None:
    """Raise UnableToParse unless `host` (ASCII) is an address or a well-formed name."""
    if ":" in host:
        is_good = "%" not in host and _is_ipv6(host)
    else:
        labels = host.removesuffix(".").split(".")
        is_good = len(host) <= 253 and all(_NAME.fullmatch(label) for label in labels)
    if not is_good:
        raise UnableToParse("target", pgettext("stored", "This is not a host name"))


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def ascii_host(host: str) -> str:
    """`host` in IDNA. Raises UnableToParse."""
    try:
        encoded = httpx.URL(scheme="http", host=host).raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError) as exc:
        raise UnableToParse(
            "target", pgettext("stored", "This is not a host name")
        ) from exc
    check_host(encoded)
    return encoded


@lru_cache(maxsize=4096)
def parse_endpoint(target: str, *, default_port: int = 0) -> Endpoint:
    """`host`, `host:port`, `[v6]:port` or a bare IPv6 address. Raises UnableToParse.

    Without a default port, the target must name one.
    """
    check_length(target)
    if any(character in target for character in "/@?# \\"):
        raise UnableToParse("target", pgettext("stored", "Write it as host:port"))
    host, port_text = target, ""
    if target.startswith("["):
        host, closing, rest = target[1:].partition("]")
        if not closing or ":" not in host or (rest and not rest.startswith(":")):
            raise UnableToParse(
                "target", pgettext("stored", "Write it as [address]:port")
            )
        port_text = rest[1:]
    elif target.count(":") == 1:
        host, _, port_text = target.partition(":")
    port = parse_port(port_text) if port_text else default_port
    if not port:
        raise UnableToParse("target", pgettext("stored", "Name the port: host:port"))
    return Endpoint(host=ascii_host(host), port=port)


def parse_port(text: str) -> int:
    """A port from 1 to 65535. Raises UnableToParse."""
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= 65535:
        raise UnableToParse(
            "target", pgettext("stored", "A port is a number from 1 to 65535")
        )
    return int(text)
