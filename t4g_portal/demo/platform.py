"""The platform that the demo watches, and the stand-ins for Slack and a mail server.

Run beside web, worker and beat, on loopback only. What is broken stands in a file
(`demo.parts`), what is received goes to files (`demo.inbox`).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import socketserver
import ssl
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from t4g_portal.demo import certificates, figures, inbox, parts
from t4g_portal.demo.marking import Ports, folder, read_ports

HOST = "127.0.0.1"
# A probe gives up long before.
_HANG_S = 30.0
_SLOW_S = 3.0
_LOOK_S = 0.3
_PING_EVERY_S = 5.0
_MAX_BODY = 1_000_000

_FIGURES = "/api/metrics/business"
_PATHS = {
    "/shop": "shop",
    "/api/health": "api",
    "/login": "login",
    "/reports": "reports",
}
_USUAL_S = {"shop": 0.04, "api": 0.02, "login": 0.05, "reports": 0.25}
_BODIES = {
    "shop": ("text/html", b"<!doctype html><title>Shop</title><h1>Welcome</h1>"),
    "api": ("application/json", b'{"status": "ok", "database": "ok"}'),
    "login": ("text/html", b"<!doctype html><title>Sign in</title><form></form>"),
    "reports": ("application/json", b'{"reports": []}'),
}
_WRONG = {
    "shop": ("text/html", b"<!doctype html><title>It works</title>"),
    "api": ("application/json", b'{"status": "error", "database": "unreachable"}'),
}


class Platform:
    """Everything that listens, on one data directory."""

    def __init__(self, data_dir: Path, ports: Ports) -> None:
        self.data_dir = data_dir
        self.ports = ports

    def mode(self, part: str) -> str:
        """Return how a part is broken now, empty when it is well."""
        return parts.modes(self.data_dir).get(part, "")

    def run(self) -> None:
        """Serve until the process ends."""
        web = _Server((HOST, self.ports.http), self._web_handler())
        secure = _SecureServer((HOST, self.ports.https), self._web_handler())
        secure.choose = self._certificate()
        mail = _MailServer((HOST, self.ports.mail), self._mail_handler())
        for serve in (
            web.serve_forever,
            secure.serve_forever,
            mail.serve_forever,
            self._ping,
        ):
            threading.Thread(target=serve, daemon=True).start()
        self._serve_database()

    def _certificate(self) -> Callable[[], ssl.SSLContext]:
        good = _context(certificates.good_file(self.data_dir))
        expired = _context(certificates.expired_file(self.data_dir))
        return lambda: expired if self.mode("login") == "expired" else good

    def _serve_database(self) -> None:
        """Accept and close, as a port check wants it; listen only while all is well."""
        listener: socket.socket | None = None
        while True:
            is_well = not self.mode("database")
            if is_well and listener is None:
                listener = socket.create_server((HOST, self.ports.database))
                listener.settimeout(_LOOK_S)
            elif not is_well and listener is not None:
                listener.close()
                listener = None
            if listener is None:
                time.sleep(_LOOK_S)
                continue
            with contextlib.suppress(OSError):
                listener.accept()[0].close()

    def _ping(self) -> None:
        """Say "I am alive" for the nightly jobs, as a real job would."""
        address = folder(self.data_dir) / "ping_url"
        while True:
            time.sleep(_PING_EVERY_S)
            if self.mode("jobs") or not address.is_file():
                continue
            with contextlib.suppress(OSError):
                urllib.request.urlopen(address.read_text(), timeout=5).close()  # noqa: S310

    def _web_handler(self) -> type[BaseHTTPRequestHandler]:
        platform = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == _FIGURES:
                    body = json.dumps(figures.at(datetime.now(UTC))).encode()
                    self._answer(200, "application/json", body)
                    return
                part = _PATHS.get(path)
                if part is None:
                    self._answer(404, "text/plain", b"not here\n")
                    return
                mode = platform.mode(part)
                if mode == "hang":
                    time.sleep(_HANG_S)
                    self.close_connection = True
                    return
                usual_s = _USUAL_S[part] * random.lognormvariate(0, 0.3)
                time.sleep(_SLOW_S if mode == "slow" else usual_s)
                kind, body = (_WRONG if mode == "wrong" else _BODIES)[part]
                self._answer(500 if mode == "error" else 200, kind, body)

            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(min(size, _MAX_BODY))
                place, _slash, channel = self.path.lstrip("/").partition("/")
                if place != "slack":
                    self._answer(404, "text/plain", b"not here\n")
                    return
                try:
                    payload = json.loads(body)
                except ValueError:
                    self._answer(400, "text/plain", b"invalid_payload")
                    return
                inbox.keep_slack(platform.data_dir, channel=channel, payload=payload)
                self._answer(200, "text/plain", b"ok")

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Every probe is no news."""

        return Handler

    def _mail_handler(self) -> type[socketserver.StreamRequestHandler]:
        platform = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 30

            def handle(self) -> None:
                self._say("220 demo")
                recipients: list[str] = []
                while line := self.rfile.readline(4096):
                    word = line.decode(errors="replace").strip()
                    verb = word[:4].upper()
                    if verb == "QUIT":
                        self._say("221 bye")
                        return
                    if verb == "RCPT":
                        recipients.append(word.partition("<")[2].partition(">")[0])
                    if verb == "RSET":
                        recipients.clear()
                    if verb == "DATA":
                        self._say("354 go on")
                        inbox.keep_mail(
                            platform.data_dir,
                            to=", ".join(recipients),
                            content=self._content(),
                        )
                        recipients = []
                    self._say("250 ok")

            def _content(self) -> bytes:
                lines = []
                while (line := self.rfile.readline(65_536)) not in (b".\r\n", b""):
                    # RFC 5321, 4.5.2: a leading dot was doubled.
                    lines.append(line[1:] if line.startswith(b".") else line)
                return b"".join(lines)

            def _say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        return Handler


class _Quiet(socketserver.BaseServer):
    def handle_error(self, *_: object) -> None:
        """Whoever hangs up is no news."""


class _Server(_Quiet, ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


class _SecureServer(_Server):
    choose: Callable[[], ssl.SSLContext]

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = self.socket.accept()
        # The handshake is done by the thread of the request.
        secure = self.choose().wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )
        return secure, address


class _MailServer(_Quiet, socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _context(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def main() -> int:
    """Run the platform of the data directory in the environment."""
    data_dir = Path(os.environ["PORTAL_DATA_DIR"])
    Platform(data_dir, read_ports(data_dir)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
