"""The guard for libraries that bring `requests` along instead of asking for a client.

Only inside of `guarded_requests`, and only for its thread: each connection goes to a
checked address, redirects end the request, answers are read to a bound, and when the time
is up every connection is shut.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

from t4g_portal.lib.egress.addresses import BlockedAddress
from t4g_portal.lib.egress.names import UnableToResolve, resolve_blocking

MAX_ANSWER_BYTES = 64 * 1024


class Borrowed:
    """What one borrowed client may do, and what became of it."""

    def __init__(self, *, may_use_private: bool, timeout_s: float) -> None:
        self.blocked: BlockedAddress | None = None
        self.is_late = False
        # A request went out and nothing came back: nobody knows what became of it.
        self.is_answer_lost = False
        self.is_connected = False
        self._may_use_private = may_use_private
        self._deadline = time.monotonic() + timeout_s
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._timer = threading.Timer(timeout_s, self._shut)
        self._timer.daemon = True
        self._timer.start()

    def connect(self, host: str, port: int, timeout_s: float | None) -> socket.socket:
        """Return a connection to the first checked address that answers."""
        remaining_s = self._deadline - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError
        try:
            addresses = resolve_blocking(
                host=host,
                timeout_s=remaining_s,
                may_use_private=self._may_use_private,
            )
        except BlockedAddress as error:
            # Libraries may swallow it.
            self.blocked = error
            raise
        except UnableToResolve as error:
            raise OSError(str(error)) from error
        share_s = min(timeout_s or remaining_s, remaining_s) / len(addresses)
        failure: OSError = TimeoutError()
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(share_s)
                connection.connect((address, port))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._watch(connection)
            except OSError as error:
                connection.close()
                failure = error
                continue
            self.is_connected = True
            return connection
        raise failure

    def end(self) -> None:
        """Let go of everything."""
        self._timer.cancel()
        self._shut()

    def _watch(self, connection: socket.socket) -> None:
        # TLS takes the socket over; a copy of its handle still reaches the connection.
        with self._lock:
            if time.monotonic() >= self._deadline:
                raise TimeoutError
            self._handles.append(connection.dup())

    def _shut(self) -> None:
        with self._lock:
            self.is_late = self.is_late or time.monotonic() >= self._deadline
            for handle in self._handles:
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
                handle.close()
            self._handles.clear()


_here = threading.local()


@contextlib.contextmanager
def guarded_requests(*, may_use_private: bool, timeout_s: float) -> Iterator[Borrowed]:
    """Put what this thread asks through `requests` behind the guard meanwhile.

    The library may hide the reasons of a failure: `blocked`, `is_late` and
    `is_answer_lost` tell them.
    """
    _stand_in_between()
    borrowed = Borrowed(may_use_private=may_use_private, timeout_s=timeout_s)
    _here.borrowed = borrowed
    try:
        yield borrowed
    finally:
        _here.borrowed = None
        borrowed.end()


@cache
def _stand_in_between() -> None:
    """Replace two functions, once, by ones that leave every other thread alone."""
    requests: Any = import_module("requests")
    errors: Any = import_module("urllib3.exceptions")
    connection: Any = import_module("urllib3.util.connection")
    connect, send = connection.create_connection, requests.Session.send

    def create_connection(address: Any, *rest: Any, **options: Any) -> Any:
        borrowed: Borrowed | None = getattr(_here, "borrowed", None)
        if borrowed is None:
            return connect(address, *rest, **options)
        host, port = address
        timeout = rest[0] if rest else options.get("timeout")
        timeout_s = timeout if isinstance(timeout, (int, float)) else None
        return borrowed.connect(host.strip("[]"), port, timeout_s)

    def bounded_send(session: Any, request: Any, **options: Any) -> Any:
        borrowed: Borrowed | None = getattr(_here, "borrowed", None)
        if borrowed is None:
            return send(session, request, **options)
        options |= {"allow_redirects": False, "stream": True, "proxies": {}}
        borrowed.is_connected = False
        try:
            response = send(session, request, **options)
        except requests.exceptions.SSLError:
            # Without a handshake nothing has left.
            raise
        except requests.RequestException:
            borrowed.is_answer_lost |= borrowed.is_connected
            raise
        try:
            response._content = response.raw.read(MAX_ANSWER_BYTES, decode_content=True)
        except errors.HTTPError as error:
            borrowed.is_answer_lost = True
            # What `requests` itself would say; libraries know how to take it.
            raise requests.ConnectionError(str(error), request=request) from error
        finally:
            response.close()
        response._content_consumed = True
        return response

    connection.create_connection = create_connection
    requests.Session.send = bounded_send
