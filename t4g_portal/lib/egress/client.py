"""An `httpx.Client` behind the guard, for messages, collectors and KPI sources."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx

from t4g_portal.lib.egress.addresses import BlockedAddress
from t4g_portal.lib.egress.names import UnableToResolve, resolve_blocking
from t4g_portal.lib.egress.tls import ssl_context

USER_AGENT = "T4G-Portal/1"
MAX_ANSWER_BYTES = 4 * 1024 * 1024

_HTTPX_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
)


def _as_httpx(exc: Exception, request: httpx.Request) -> httpx.TransportError:
    for theirs, ours in _HTTPX_ERRORS:
        if isinstance(exc, theirs):
            return ours(str(exc), request=request)
    return httpx.TransportError(str(exc), request=request)


class _Stream(httpcore.NetworkStream):
    """A socket that keeps one deadline for everything, drip by drip."""

    def __init__(self, sock: socket.socket, *, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def _arm(self) -> None:
        remaining_s = self._deadline - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError
        self._sock.settimeout(remaining_s)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            self._arm()
            return self._sock.recv(max_bytes)
        except TimeoutError as exc:
            raise httpcore.ReadTimeout("The deadline passed") from exc
        except OSError as exc:
            raise httpcore.ReadError(exc.strerror or "Read failed") from exc

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            while buffer:
                self._arm()
                buffer = buffer[self._sock.send(buffer) :]
        except TimeoutError as exc:
            raise httpcore.WriteTimeout("The deadline passed") from exc
        except OSError as exc:
            raise httpcore.WriteError(exc.strerror or "Write failed") from exc

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> _Stream:
        name = server_hostname.rstrip(".") if server_hostname else None
        try:
            self._arm()
            secured = ssl_context.wrap_socket(self._sock, server_hostname=name)
        except TimeoutError as exc:
            self.close()
            raise httpcore.ConnectTimeout("The deadline passed") from exc
        except (OSError, ValueError) as exc:
            self.close()
            raise httpcore.ConnectError(str(exc)) from exc
        return _Stream(secured, deadline=self._deadline)

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        return None


class _Backend(httpcore.NetworkBackend):
    def __init__(self, *, may_use_private: bool, deadline: float) -> None:
        self._may_use_private = may_use_private
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> _Stream:
        try:
            addresses = resolve_blocking(
                host=host,
                timeout_s=self._deadline - time.monotonic(),
                may_use_private=self._may_use_private,
            )
            return self._connect(addresses, port)
        except UnableToResolve as exc:
            raise httpcore.ConnectError(str(exc)) from exc
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout("The deadline passed") from exc
        except OSError as exc:
            # `str(exc)` would name the address behind the name.
            raise httpcore.ConnectError(exc.strerror or "Connect failed") from exc

    def _connect(self, addresses: tuple[str, ...], port: int) -> _Stream:
        """The first address that answers; each gets its share of what time is left."""
        failure: OSError = TimeoutError()
        for position, address in enumerate(addresses):
            remaining_s = self._deadline - time.monotonic()
            if remaining_s <= 0:
                break
            share_s = remaining_s / (len(addresses) - position)
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            # Not socket.create_connection: it would ask the resolver once more.
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(share_s)
                sock.connect((address, port))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as exc:
                sock.close()
                failure = exc
                continue
            return _Stream(sock, deadline=self._deadline)
        raise failure

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> _Stream:
        raise BlockedAddress("socket")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class _Body(httpx.SyncByteStream):
    """The answer's body, bounded; closing it closes the connection."""

    def __init__(
        self,
        connection: httpcore.HTTPConnection,
        body: Iterable[bytes],
        request: httpx.Request,
    ) -> None:
        self._connection = connection
        self._body = body
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        received_bytes = 0
        try:
            for chunk in self._body:
                received_bytes += len(chunk)
                if received_bytes > MAX_ANSWER_BYTES:
                    raise httpx.ReadError(
                        f"The answer is larger than {MAX_ANSWER_BYTES} bytes",
                        request=self._request,
                    )
                yield chunk
        except httpx.TransportError:
            raise
        except (httpcore.NetworkError, httpcore.TimeoutException) as exc:
            raise _as_httpx(exc, self._request) from exc
        except httpcore.ProtocolError as exc:
            raise _as_httpx(exc, self._request) from exc

    def close(self) -> None:
        self._connection.close()


class _GuardedTransport(httpx.BaseTransport):
    """One checked connection a request, with one deadline for all of it."""

    def __init__(self, *, timeout_s: float, may_use_private: bool) -> None:
        self._timeout_s = timeout_s
        self._may_use_private = may_use_private

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme not in {"http", "https"}:
            raise httpx.UnsupportedProtocol(
                "Only http:// and https:// are spoken.", request=request
            )
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        connection = httpcore.HTTPConnection(
            origin=url.origin,
            ssl_context=ssl_context(alpn="http/1.1"),
            network_backend=_Backend(
                may_use_private=self._may_use_private,
                deadline=time.monotonic() + self._timeout_s,
            ),
        )
        if not isinstance(request.stream, httpx.SyncByteStream):
            raise httpx.LocalProtocolError("An asynchronous body", request=request)
        try:
            response = connection.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=url,
                    headers=request.headers.raw,
                    content=request.stream,
                )
            )
        except BlockedAddress:
            raise
        except Exception as exc:
            connection.close()
            if isinstance(exc, tuple(theirs for theirs, _ in _HTTPX_ERRORS)):
                raise _as_httpx(exc, request) from exc
            raise
        if not isinstance(response.stream, Iterable):
            raise httpx.LocalProtocolError("An asynchronous answer", request=request)
        answer = httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(connection, response.stream, request),
            request=request,
        )
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            # We asked for none; a small answer may unpack to gigabytes.
            connection.close()
            raise httpx.RemoteProtocolError(
                "A compressed answer where none was accepted", request=request
            )
        return answer


def guarded_client(*, timeout_s: float, may_use_private: bool) -> httpx.Client:
    """A client whose every request passes the guard. Cheap to make (no TLS set-up).

    `timeout_s` is the wall-clock limit of one request, name lookup to last byte.
    Redirects aren't followed, cookies not kept, proxies from the environment not used,
    connections not reused; answers over 4 MiB and compressed ones are errors.
    Requests raise httpx.TransportError and BlockedAddress.
    """
    return httpx.Client(
        transport=_GuardedTransport(
            timeout_s=timeout_s, may_use_private=may_use_private
        ),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),
        timeout=None,  # noqa: S113 - the transport keeps the deadline
        trust_env=False,
        follow_redirects=False,
    )
