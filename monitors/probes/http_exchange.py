"""One HTTP/1.1 question and its answer on a connection of its own.

h11 on the guard's stream: no pool and no client layer, which cost more than the sockets
do (facts/baselines.md §3; httpcore alone looks for a missing module at every request).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import lru_cache

import h11
import httpx
from django.utils.translation import pgettext

from monitors.probes.base import Certificate, Phases, UnableToParse
from monitors.probes.certificates import certificate_of
from monitors.probes.targets import check_host, check_length
from t4g_portal.lib.egress import (
    AnswerTooLarge,
    GuardedStream,
    Stage,
    open_connection,
    ssl_context,
)

MAX_BODY_BYTES = 256 * 1024
MAX_HEAD_BYTES = 64 * 1024
# On top of the body: chunk sizes and trailers. Tiny chunks use it up, and then the
# body counts as cut.
_FRAMING_BYTES = 64 * 1024
_GREETING = b"HTTP/"
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Sent on to another origin: nothing a person typed that could be a key.
_HARMLESS_HEADERS = frozenset((b"accept", b"accept-language", b"user-agent"))

Headers = tuple[tuple[bytes, bytes], ...]


class ConnectionCut(Exception):
    """The peer closed the connection before its answer was whole."""


class NotHttp(Exception):
    """The peer speaks something else; `received` is how it begins."""

    def __init__(self, received: bytes) -> None:
        super().__init__()
        self.received = received


class UnableToRedirect(Exception):
    """A redirect that can't or mustn't be followed; the text says why."""


@dataclass(frozen=True, slots=True)
class Site:
    """A parsed http(s) URL. `host` is ASCII, an IPv6 address without brackets."""

    text: str
    scheme: str
    host: str
    port: int
    authority: bytes
    request_target: bytes

    @property
    def origin(self) -> tuple[str, str, int]:
        """What may see our credentials."""
        return self.scheme, self.host, self.port


@dataclass(frozen=True, slots=True)
class Hop:
    """One question: where to, and what to send."""

    site: Site
    method: str
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `is_truncated`: the body went on beyond what we read."""

    status: int
    headers: Headers
    body: bytes
    is_truncated: bool
    http_version: str
    tls_version: str
    certificate: Certificate | None

    @property
    def is_redirect(self) -> bool:
        """Whether the status sends us elsewhere."""
        return self.status in _REDIRECTS


@lru_cache(maxsize=4096)
def parse_site(text: str) -> Site:
    """Parse an absolute http(s) URL; its fragment is dropped. Raises UnableToParse."""
    check_length(text)
    # Browsers read a backslash as a slash, RFC 3986 doesn't: no room for two readings.
    if "\\" in text:
        raise UnableToParse("target", pgettext("stored", "This is not a URL"))
    try:
        url = httpx.URL(text)
        host = url.raw_host.decode("ascii").lower()
        path = url.raw_path
    except (httpx.InvalidURL, UnicodeError) as exc:
        raise UnableToParse("target", pgettext("stored", "This is not a URL")) from exc
    if url.scheme not in _DEFAULT_PORTS:
        raise UnableToParse(
            "target", pgettext("stored", "A URL starts with http:// or https://")
        )
    if url.userinfo:
        raise UnableToParse(
            "target", pgettext("stored", "User and password have fields of their own")
        )
    check_host(host)
    default_port = _DEFAULT_PORTS[url.scheme]
    port = default_port if url.port is None else url.port
    if not 1 <= port <= 65535:
        raise UnableToParse(
            "target", pgettext("stored", "A port is a number from 1 to 65535")
        )
    name = f"[{host}]" if ":" in host else host
    return Site(
        text=text,
        scheme=url.scheme,
        host=host,
        port=port,
        authority=(name if port == default_port else f"{name}:{port}").encode("ascii"),
        request_target=path,
    )


def next_hop(hop: Hop, answer: Answer, *, first: Hop) -> Hop:
    """Where a redirect leads. Raises UnableToRedirect.

    As browsers do (RFC 9110 §15.4): 303, and 301/302 after POST, turn into GET.
    Other origins get no credentials, no typed headers and no body.
    """
    site = _location(hop.site, answer)
    if hop.site.scheme == "https" and site.scheme == "http":
        raise UnableToRedirect(
            pgettext("stored", "A redirect leads from https to http")
        )
    method, body, headers = hop.method, hop.body, hop.headers
    if (answer.status == 303 and method != "HEAD") or (
        answer.status in (301, 302) and method == "POST"
    ):
        method, body = "GET", b""
        headers = tuple(
            header for header in headers if not header[0].lower().startswith(b"content")
        )
    if not _may_see_credentials(first.site, site):
        if body:
            raise UnableToRedirect(
                pgettext("stored", "A redirect would send the body to another site")
            )
        headers = tuple(
            header for header in headers if header[0].lower() in _HARMLESS_HEADERS
        )
    return replace(hop, site=site, method=method, body=body, headers=headers)


def _location(site: Site, answer: Answer) -> Site:
    location = next(
        (value for name, value in answer.headers if name.lower() == b"location"), None
    )
    if location is None:
        raise UnableToRedirect(pgettext("stored", "A redirect without a Location"))
    try:
        target = httpx.URL(site.text).join(location.decode("utf-8", "replace"))
        return parse_site(str(target.copy_with(fragment=None)))
    except (httpx.InvalidURL, UnableToParse, ValueError) as exc:
        raise UnableToRedirect(
            pgettext("stored", "A redirect leads to no valid URL")
        ) from exc


def _may_see_credentials(first: Site, site: Site) -> bool:
    if site.origin == first.origin:
        return True
    # The usual move from http to https of one host.
    return (
        site.host == first.host
        and (first.scheme, first.port) == ("http", 80)
        and (site.scheme, site.port) == ("https", 443)
    )


async def exchange(
    hop: Hop, *, verify_tls: bool, may_use_private: bool, phases: Phases
) -> Answer:
    """Ask once; the times are added to `phases`.

    Raises what `egress.open_connection` raises, NotHttp and h11.RemoteProtocolError for
    an answer that is something else or malformed, ConnectionCut for one that ends too
    early, and AnswerTooLarge for headers that don't end.
    """
    site = hop.site
    protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
    question = _question(protocol, hop)
    stream = await open_connection(
        host=site.host,
        port=site.port,
        may_use_private=may_use_private,
        recorder=phases,
        tls=ssl_context(verify=verify_tls, alpn="http/1.1")
        if site.scheme == "https"
        else None,
    )
    try:
        ssl_object = stream.ssl_object
        phases.stage = Stage.FIRST_BYTE
        stream.write(question)
        response = await _read_head(protocol, stream, phases)
        body, is_truncated = await _read_body(protocol, stream)
        spent_ms = (stream.last_byte_at - stream.first_byte_at) * 1000
        phases.transfer_ms = (phases.transfer_ms or 0.0) + spent_ms
        return Answer(
            status=response.status_code,
            headers=tuple(response.headers),
            body=body,
            is_truncated=is_truncated,
            http_version=f"HTTP/{response.http_version.decode('ascii')}",
            tls_version=(ssl_object.version() or "") if ssl_object else "",
            certificate=certificate_of(ssl_object),
        )
    finally:
        stream.abort()


def _question(protocol: h11.Connection, hop: Hop) -> bytes:
    parts = [
        protocol.send(
            h11.Request(
                method=hop.method,
                target=hop.site.request_target,
                headers=_request_headers(hop),
            )
        )
    ]
    if hop.body:
        parts.append(protocol.send(h11.Data(data=hop.body)))
    parts.append(protocol.send(h11.EndOfMessage()))
    return b"".join(part for part in parts if part)


async def _read_head(
    protocol: h11.Connection, stream: GuardedStream, phases: Phases
) -> h11.Response:
    stream.limit_bytes = MAX_HEAD_BYTES
    beginning = b""
    pieces = 0
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            piece = await stream.read(MAX_HEAD_BYTES)
            if stream.first_byte_at and phases.stage is Stage.FIRST_BYTE:
                phases.stage = Stage.TRANSFER
                spent_ms = (stream.first_byte_at - stream.sent_at) * 1000
                phases.first_byte_ms = (phases.first_byte_ms or 0.0) + spent_ms
            if len(beginning) < len(_GREETING):
                # h11 would wait for a whole line, and an SSH or mail server for us.
                beginning += piece
                if not beginning.startswith(_GREETING[: len(beginning)]):
                    raise NotHttp(beginning)
            if not piece:
                raise ConnectionCut
            protocol.receive_data(piece)
        elif isinstance(event, h11.Response):
            return event
        else:
            # Interim answers (1xx) may come in any number.
            pieces += 1
            await _let_others_run(pieces)


async def _read_body(
    protocol: h11.Connection, stream: GuardedStream
) -> tuple[bytes, bool]:
    """The body, and whether it went on beyond what we read."""
    stream.limit_bytes = stream.read_bytes + MAX_BODY_BYTES + _FRAMING_BYTES
    body = bytearray()
    pieces = 0
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            try:
                piece = await stream.read(MAX_BODY_BYTES)
            except AnswerTooLarge:
                return bytes(body), True
            try:
                protocol.receive_data(piece)
                if not piece:
                    event = protocol.next_event()
            except h11.RemoteProtocolError as exc:
                raise ConnectionCut from exc
        if isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                return bytes(body[:MAX_BODY_BYTES]), True
            pieces += 1
            await _let_others_run(pieces)
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return bytes(body), False


async def _let_others_run(pieces: int) -> None:
    """Parsing thousands of crumbs must not keep the event loop to itself."""
    if pieces % 64 == 0:
        await asyncio.sleep(0)


def _request_headers(hop: Hop) -> list[tuple[bytes, bytes]]:
    headers = list(hop.headers)
    if not any(name.lower() == b"host" for name, _ in headers):
        headers.insert(0, (b"Host", hop.site.authority))
    headers.append((b"Accept-Encoding", b"identity"))
    headers.append((b"Connection", b"close"))
    if hop.body:
        headers.append((b"Content-Length", str(len(hop.body)).encode("ascii")))
    elif hop.method in ("POST", "PUT", "PATCH"):
        headers.append((b"Content-Length", b"0"))
    return headers
