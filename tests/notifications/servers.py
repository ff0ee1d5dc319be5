"""Receivers on loopback that speak the real protocols and answer as they are told."""

from __future__ import annotations

import asyncio
import email
import json
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default as modern
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    status: int = 200
    body: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    # Answers only once this is set.
    gate: threading.Event | None = None


class Receiver:
    """An HTTP server; `answers` are used up one by one, then everything is taken."""

    def __init__(self, path: str) -> None:
        self.requests: list[Request] = []
        self.answers: deque[Answer] = deque()
        self.arrived = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                request = Request(
                    path=self.path,
                    headers={k.lower(): v for k, v in self.headers.items()},
                    body=self.rfile.read(length),
                )
                receiver.requests.append(request)
                answer = receiver.answer(request)
                receiver.arrived.set()
                if answer.gate is not None:
                    answer.gate.wait(20)
                body = answer.body.encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}{path}"

    def answer(self, request: Request) -> Answer:
        return self.answers.popleft() if self.answers else Answer()

    def run(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def handle_error(self, *args: object) -> None:
        """A client that hangs up is no news."""


class Slack(Receiver):
    """Incoming webhooks with Slack's limits and Slack's words of refusal."""

    def answer(self, request: Request) -> Answer:
        if self.answers:
            return self.answers.popleft()
        problem = slack_problem(request)
        return Answer(400, problem) if problem else Answer(200, "ok")


def slack_problem(request: Request) -> str:
    """What Slack would say to a request; empty when it takes it."""
    try:
        payload = request.json
    except ValueError:
        return "invalid_payload"
    if not payload.get("text"):
        return "no_text"
    blocks = payload.get("blocks", [])
    if len(blocks) > 50 or not all(_is_valid(block) for block in blocks):
        return "invalid_blocks"
    if len("".join(_texts(blocks))) > 13_200:
        return "msg_blocks_too_long"
    for text in [payload["text"], *_texts(blocks)]:
        if _has_stray_markup(text):
            return "stray_markup"
    return ""


def _is_valid(block: dict[str, Any]) -> bool:
    match block["type"]:
        case "header":
            return block["text"]["type"] == "plain_text" and _is_text(block, 150)
        case "section":
            fields = block.get("fields", [])
            has_either = ("text" in block) != ("fields" in block)
            is_text_ok = "text" not in block or _is_text(block, 3000)
            are_fields_ok = all(1 <= len(one["text"]) <= 2000 for one in fields)
            return has_either and is_text_ok and are_fields_ok and len(fields) <= 10
        case "actions":
            return 1 <= len(block["elements"]) <= 25 and all(
                one["type"] == "button"
                and len(one["action_id"]) <= 255
                and _is_text(one, 75)
                and len(one["url"]) <= 3000
                and one.get("style", "primary") in {"primary", "danger"}
                for one in block["elements"]
            )
        case "context":
            return 1 <= len(block["elements"]) <= 10
        case _:
            return False


def _is_text(block: dict[str, Any], limit: int) -> bool:
    return 1 <= len(block["text"]["text"]) <= limit


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for one in part:
            yield from _texts(one)
    elif isinstance(part, dict):
        for name, one in part.items():
            if name == "text" and isinstance(one, str):
                yield one
            else:
                yield from _texts(one)


def _has_stray_markup(text: str) -> bool:
    """Whether anything but our own mention or an escaped character is markup."""
    rest = text.replace("<!channel>", "", 1)
    rest = re.sub(r"&(amp|lt|gt);", "", rest)
    return bool(re.search(r"[<>&]", rest))


class _AnyPort(Controller):
    """aiosmtpd greets itself before it knows which port it got."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class MailHost:
    """An SMTP server. `replies`: recipient → what is said to RCPT; `data_replies`: to DATA."""

    def __init__(self, **options: Any) -> None:
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.replies: dict[str, str] = {}
        self.data_replies: deque[str] = deque()
        self._controller = _AnyPort(self, hostname="127.0.0.1", port=0, **options)
        self._controller.start()
        self.port = self._controller.port

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        reply = self.replies.get(address, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        reply = (
            self.data_replies.popleft()
            if self.data_replies
            else "250 2.0.0 OK queued as T4G1"
        )
        if reply.startswith("250"):
            self.raw.append(envelope.original_content)
            self.mails.append(
                email.message_from_bytes(envelope.original_content, policy=modern)
            )
        return reply

    def stop(self) -> None:
        self._controller.stop()


def refuse_login(*_: Any) -> AuthResult:
    return AuthResult(success=False, handled=False, message="535 5.7.8 wrong password")


@contextmanager
def running(receiver: Receiver) -> Iterator[Receiver]:
    thread = threading.Thread(target=receiver.run)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stop()
        thread.join()
