"""The local target: plain HTTP, HTTPS and a port that never answers, in one process.

Run as `python -m bench.target HTTP_PORT HTTPS_PORT HANG_PORT CERTIFICATE KEY`.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import cast

import uvloop

_BODY = b'{"status": "ok", "services": {"database": "ok", "lightning": "ok"}}        '
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n" % len(_BODY)
) + _BODY


class Answers(asyncio.Protocol):
    """Answers the first complete request head and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head:
            self._transport.write(_ANSWER)
            self._transport.close()


class Hangs(asyncio.Protocol):
    """Takes the request and says nothing."""


async def serve(
    http_port: int, https_port: int, hang_port: int, certificate: str, key: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    await loop.create_server(Answers, "127.0.0.1", http_port, backlog=4096)
    await loop.create_server(
        Answers, "127.0.0.1", https_port, ssl=context, backlog=4096
    )
    await loop.create_server(Hangs, "127.0.0.1", hang_port, backlog=4096)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    ports = [int(text) for text in sys.argv[1:4]]
    uvloop.run(serve(ports[0], ports[1], ports[2], sys.argv[4], sys.argv[5]))
