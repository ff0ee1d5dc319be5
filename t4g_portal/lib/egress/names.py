"""From a host name to checked addresses, on threads of our own.

Not `loop.getaddrinfo`: uvloop runs two lookups at a time (libuv's slow-I/O half of
four threads) and asyncio six on two cores, so that one domain with dead name servers
would hold up the lookups of all others and make them look down.
"""

from __future__ import annotations

import asyncio
import enum
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Protocol

from django.utils.translation import pgettext

from t4g_portal.lib.egress.addresses import Address, allowed_networks, check_address

LOOKUP_THREADS = 32


class Stage(enum.Enum):
    """How far a connection got; says what a timeout was waiting for."""

    START = "start"
    # Waiting for a thread of ours, not yet for a name server.
    LOOKUP_QUEUE = "lookup_queue"
    LOOKUP = "lookup"
    CONNECT = "connect"
    TLS = "tls"
    FIRST_BYTE = "first_byte"
    TRANSFER = "transfer"


class Recorder(Protocol):
    """Where the guard notes its times (milliseconds, added up) and its progress."""

    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    stage: Stage


@dataclass(slots=True)
class Timings:
    """A plain Recorder."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    stage: Stage = Stage.START


class UnableToResolve(Exception):
    """A name led to no address. `code` is one of `socket.EAI_…`, or 0."""

    def __init__(self, *, host: str, code: int = 0) -> None:
        self.host = host
        self.code = code
        super().__init__(host, code)

    def __str__(self) -> str:
        host = self.host[:253]
        if self.code in (socket.EAI_NONAME, socket.EAI_NODATA):
            return pgettext("stored", "The name %(host)s does not exist") % {
                "host": host
            }
        if self.code == socket.EAI_AGAIN:
            return pgettext("stored", "No name server answered for %(host)s") % {
                "host": host
            }
        return pgettext("stored", "The name %(host)s can't be looked up") % {
            "host": host
        }


@lru_cache(maxsize=1)
def _threads_of(pid: int) -> ThreadPoolExecutor:
    # Keyed by process: threads don't survive the fork of a Celery worker.
    return ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix=f"lookup-{pid}")


class _Lookup:
    """One getaddrinfo, timed on its own thread: waiting for a thread isn't DNS time."""

    __slots__ = ("host", "ms", "recorder")

    def __init__(self, host: str, recorder: Recorder) -> None:
        self.host = host
        self.recorder = recorder
        self.ms = 0.0

    def __call__(self) -> list[str]:
        self.recorder.stage = Stage.LOOKUP
        started = time.perf_counter()
        try:
            # As bytes: for text, Python would apply its own IDNA 2003 codec.
            name = self.host.encode("ascii")
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except socket.gaierror as exc:
            # Without file handles glibc says "try again": that is our fault.
            socket.socket().close()
            raise UnableToResolve(host=self.host, code=exc.errno or 0) from exc
        except ValueError as exc:
            raise UnableToResolve(host=self.host) from exc
        finally:
            self.ms = (time.perf_counter() - started) * 1000
        return [str(entry[4][0]) for entry in found]


@lru_cache(maxsize=8192)
def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _checked(found: list[str], *, host: str, may_use_private: bool) -> tuple[str, ...]:
    networks = allowed_networks(may_use_private=may_use_private)
    addresses = dict.fromkeys(
        str(check_address(address, allowed_networks=networks)) for address in found
    )
    if not addresses:
        raise UnableToResolve(host=host, code=socket.EAI_NODATA)
    return tuple(addresses)


def _checked_literal(host: str, *, may_use_private: bool) -> tuple[str, ...] | None:
    literal = _literal(host)
    if literal is None:
        return None
    networks = allowed_networks(may_use_private=may_use_private)
    return (str(check_address(literal, allowed_networks=networks)),)


async def resolve(
    *, host: str, may_use_private: bool = False, recorder: Recorder | None = None
) -> tuple[str, ...]:
    """The checked addresses of `host` in the system's order of preference.

    A literal address costs no thread and leaves `dns_ms` alone. Raises UnableToResolve,
    BlockedAddress when *any* address is refused, and OSError when we ran out of file
    handles. There is no cache: a monitor must see a broken zone at once.
    """
    literal = _checked_literal(host, may_use_private=may_use_private)
    if literal is not None:
        return literal
    recorder = recorder or Timings()
    recorder.stage = Stage.LOOKUP_QUEUE
    lookup = _Lookup(host, recorder)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(_threads_of(os.getpid()), lookup)
    finally:
        if lookup.ms:
            recorder.dns_ms = (recorder.dns_ms or 0.0) + lookup.ms
    return _checked(found, host=host, may_use_private=may_use_private)


def resolve_blocking(
    *, host: str, timeout_s: float, may_use_private: bool = False
) -> tuple[str, ...]:
    """`resolve` for synchronous code. Raises TimeoutError after `timeout_s` seconds."""
    literal = _checked_literal(host, may_use_private=may_use_private)
    if literal is not None:
        return literal
    future = _threads_of(os.getpid()).submit(_Lookup(host, Timings()))
    try:
        found = future.result(timeout=max(timeout_s, 0.0))
    finally:
        future.cancel()
    return _checked(found, host=host, may_use_private=may_use_private)
