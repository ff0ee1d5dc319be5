"""Providers on loopback that fail in every way in which a network lets them."""

from __future__ import annotations

import json
import socketserver
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, ClassVar
from urllib.parse import unquote_plus

# What each API of ours wants to read in an answer, all in one.
_TAKEN = {"ok": True, "channel": "C0ALERTS", "ts": "1.1", "sid": "SM1", "ids": [1]}


class Faulty(socketserver.ThreadingTCPServer):
    """Takes one request a connection; `faults` are used up, then everything is taken.

    `heard`: the whole of what arrived, whatever was answered.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, handler: type[_Handler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.faults: deque[str] = deque()
        self.heard: list[str] = []
        self.is_over = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def next_fault(self) -> str:
        return self.faults.popleft() if self.faults else ""

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no news."""


class _Handler(socketserver.StreamRequestHandler):
    server: Faulty
    # How it answers by fault; the others are the connection's own.
    ANSWERS: ClassVar[dict[str, Callable[[], bytes]]] = {}

    def answer(self, fault: str, taken: bytes) -> None:
        """Do as the fault wants; the request has been read."""
        if fault == "slow":
            self.server.is_over.wait(20)
        elif fault == "trickling":
            with suppress(OSError):
                for byte in taken * 50:
                    self.connection.sendall(bytes([byte]))
                    if self.server.is_over.wait(0.5):
                        return
        elif fault == "reset":
            self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        elif fault in self.ANSWERS:
            self.wfile.write(self.ANSWERS[fault]())
        else:
            self.wfile.write(taken)


def _http(status: str, body: Any, *headers: str) -> bytes:
    content = json.dumps(body).encode()
    head = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(content)}"]
    return "\r\n".join([*head, "Connection: close", "", ""]).encode() + content


def _at_two() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)


class HttpHandler(_Handler):
    """Every API at once. Who asks (GET) is always answered that nothing is known."""

    ANSWERS: ClassVar[dict[str, Callable[[], bytes]]] = {
        "busy": lambda: _http("429 Too Many", {"code": 20429}, "Retry-After: 120"),
        "busy until": lambda: _http("429 Too Many", {}, f"Retry-After: {_at_two()}"),
        "broken": lambda: _http("503 Unavailable", {"ok": False}),
    }

    def handle(self) -> None:
        method, path, _version = self.rfile.readline().decode().split()
        length = 0
        while (line := self.rfile.readline().decode().strip()) != "":
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
        body = self.rfile.read(length).decode()
        if method == "GET":
            known: Any = [] if "outgoing" in path else {"messages": []}
            found = int(time.time()) if path.endswith("auth/time") else known
            self.wfile.write(_http("200 OK", found))
            return
        self.server.heard.append(unquote_plus(body))
        self.answer(self.server.next_fault(), _http("200 OK", _TAKEN))


class MailHandler(_Handler):
    """An SMTP server that is at fault once it has read the mail."""

    ANSWERS: ClassVar[dict[str, Callable[[], bytes]]] = {
        "busy": lambda: b"451 4.7.1 Greylisted, come back later\r\n",
        "broken": lambda: b"421 4.3.2 Shutting down\r\n",
    }

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        while (line := self.rfile.readline()) != b"":
            word = line.split()[0].upper()
            if word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            if word != b"DATA":
                self.wfile.write(b"250 ok\r\n")
                continue
            self.wfile.write(b"354 go ahead\r\n")
            lines = []
            while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                lines.append(line.decode())
            self.server.heard.append("".join(lines))
            fault = self.server.next_fault()
            self.answer(fault, b"250 2.0.0 queued\r\n")
            if fault:
                return


@contextmanager
def faulty(handler: type[_Handler]) -> Iterator[Faulty]:
    """Run one for a test."""
    with Faulty(handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.is_over.set()
            server.shutdown()
            thread.join()
