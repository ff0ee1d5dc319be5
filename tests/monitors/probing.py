"""What the tests of probes share: small real servers on loopback, and one question."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
import trustme
import uvloop

from monitors.probes import registry
from monitors.probes.base import AssertionSpec, ProbeRequest, ProbeResult

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(main: Coroutine[Any, Any, Any], *, loop: str = "asyncio") -> Any:
    """Run a coroutine to its end on a fresh event loop."""
    return uvloop.run(main) if loop == "uvloop" else asyncio.run(main)


def make_request(kind: str, target: str, **changes: Any) -> ProbeRequest:
    """A question to `target`; `options` as typed, the rest as in ProbeRequest."""
    options = registry.parse_options(kind, changes.pop("options", {}))
    return ProbeRequest(
        **{
            "monitor_id": 1,
            "kind": kind,
            "target": target,
            "options": options,
            "timeout_s": 5.0,
            "may_use_private_targets": True,
        }
        | changes
    )


async def probe(kind: str, target: str, **changes: Any) -> ProbeResult:
    """Probe once."""
    return await registry.run(make_request(kind, target, **changes))


def expect(
    subject: str, operator: str, expected: str = "", argument: str = ""
) -> AssertionSpec:
    """An assertion, the way it reads."""
    return AssertionSpec(
        subject=subject, operator=operator, argument=argument, expected=expected
    )


@contextlib.asynccontextmanager
async def serving(
    handler: Handler,
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[int]:
    """A TCP server on a free port, with every connection ended at the end."""
    tasks: set[asyncio.Task[Any]] = set()

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await handler(reader, writer)
        finally:
            writer.transport.abort()
            tasks.discard(task)

    async def handle_quietly(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await handle(reader, writer)

    server = await asyncio.start_server(handle_quietly, host, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await asyncio.sleep(0)


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept, and never say a word."""
    while await reader.read(65536):
        pass


def saying(*pieces: bytes, pause_s: float = 0.0) -> Handler:
    """Answer the first words heard with these pieces, then hang up politely."""

    async def handler(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(65536)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)
        writer.write_eof()
        await reader.read()

    return handler


def saying_for_ever(
    piece: bytes, *, first: bytes = b"", pause_s: float = 0.0
) -> Handler:
    """Answer with `first` and then with the same piece again and again."""

    async def handler(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(65536)
        writer.write(first)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return handler


def http_answer(
    body: bytes = b"ok",
    *headers: str,
    status: str = "200 OK",
    length: int | None = None,
) -> bytes:
    """A whole HTTP/1.1 answer."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body) if length is None else length}",
        *headers,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@dataclass
class Heard:
    """One HTTP request as it came in."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """Answers by path and remembers what it was asked."""

    answers: dict[str, bytes]
    heard: list[Heard] = field(default_factory=list)
    delay_s: float = 0.0

    async def __call__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *header_lines = head.strip().split("\r\n")
        headers = dict(one.split(": ", 1) for one in header_lines)
        body = await reader.readexactly(int(headers.get("Content-Length", "0")))
        self.heard.append(Heard(line=line, headers=headers, body=body))
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        writer.write(self.answers[line.split(" ")[1]])
        await writer.drain()
        await reader.read()


def server_tls(
    authority: trustme.CA,
    *names: str,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> ssl.SSLContext:
    """A server's TLS context with a certificate for `names`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(
        *(names or ("localhost", "127.0.0.1")),
        not_before=not_before,
        not_after=not_after,
    ).configure_cert(context)
    return context


def free_port() -> int:
    """A TCP port of loopback that nobody uses at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def script_lookups(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[bytes]:
    """Let the system's resolver give these answers, one a call, the last for ever."""
    calls: list[bytes] = []

    def lookup(host: bytes, port: object, *args: object, **kwargs: object) -> Any:
        calls.append(host)
        found = answers[min(len(calls), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 0)) for ip in found]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return calls


@contextlib.contextmanager
def black_hole(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port that answers no SYN: its backlog is full and nobody accepts."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def ask_http(
    handler: Handler,
    *,
    loop: str = "asyncio",
    path: str = "/",
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    **changes: Any,
) -> Any:
    """Serve with `handler`, probe it once over HTTP, return the result."""

    async def scenario() -> ProbeResult:
        async with serving(handler, tls=tls) as port:
            scheme = "https" if tls else "http"
            return await probe("http", f"{scheme}://{host}:{port}{path}", **changes)

    return run(scenario(), loop=loop)
