"""Other people's services on loopback: a shop to watch, Slack, a webhook, a mail host."""

from __future__ import annotations

import email
import email.message
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from bench.portal import free_port


class Shop:
    """A service that is healthy, returns 500, or hangs, as it is told."""

    def __init__(self) -> None:
        self.mode = "healthy"
        # Where it sends whoever asks, if anywhere.
        self.moved_to = ""
        # When it first answered in each mode, in seconds since the epoch.
        self.first_at: dict[str, float] = {}
        self._released = threading.Event()
        self._server = _serve(self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/health"

    def turn(self, mode: str) -> None:
        """From the next request on, be like that."""
        self.first_at.pop(mode, None)
        self.mode = mode

    def stop(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        shop = self

        class Handler(_Quiet):
            def do_GET(self) -> None:
                mode = shop.mode
                shop.first_at.setdefault(mode, time.time())
                if mode == "hanging":
                    shop._released.wait(5)
                    return
                if shop.moved_to:
                    self.send_response(302)
                    self.send_header("Location", shop.moved_to)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                status = 200 if mode == "healthy" else 500
                self.answer(status, b'{"status": "ok"}')

        return Handler


class Backend:
    """A JSON endpoint with figures. `status`: what it answers."""

    def __init__(self, figures: dict[str, Any]) -> None:
        self.status = 200
        self.ask_count = 0
        backend = self

        class Handler(_Quiet):
            def do_GET(self) -> None:
                backend.ask_count += 1
                self.answer(
                    backend.status, json.dumps(figures).encode(), "application/json"
                )

        self._server = _serve(Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/api/metrics"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Received:
    """One request that came in."""

    at: float
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass
class Inbox:
    """An HTTP receiver, such as Slack's incoming webhook. `status`: what it answers."""

    status: int = 200
    received: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        inbox = self

        class Handler(_Quiet):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if inbox.status == 200:
                    inbox.received.append(
                        Received(
                            at=time.time(),
                            body=json.loads(body),
                            headers=dict(self.headers),
                        )
                    )
                self.answer(inbox.status, b"ok")

        self._server = _serve(Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/services/T0/B0/x"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class MailHost:
    """An SMTP server that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[email.message.Message] = []
        # aiosmtpd connects to itself once, so it can't choose the port.
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.messages.append(email.message_from_bytes(envelope.content))
        return "250 kept"

    def stop(self) -> None:
        self._controller.stop()


class Listener:
    """A control target: accepts connections until it is closed."""

    def __init__(self, port: int = 0) -> None:
        self._server = _serve(_Quiet, port)
        self.port = self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Quiet(BaseHTTPRequestHandler):
    def answer(self, status: int, body: bytes, content_type: str = "") -> None:
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""


def _serve(handler: type[BaseHTTPRequestHandler], port: int = 0) -> _Server:
    server = _Server(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server
