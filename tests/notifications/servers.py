"""Receivers on loopback that speak the real protocols and answer as they are told."""

from __future__ import annotations

import asyncio
import email
import itertools
import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default as modern
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import httpx
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from slack_sdk.signature import SignatureVerifier


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
                and (("url" in one) != ("value" in one))
                and len(one.get("url", "")) <= 3000
                and len(one.get("value", "")) <= 2000
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


class SlackApi(Receiver):
    """Slack's Web API for one workspace: posts, edits, and the buttons of its people."""

    def __init__(self, *, signing_secret: str = "", portal_url: str = "") -> None:
        super().__init__("/api")
        # Each message by channel and ts, as it stands there now.
        self.messages: dict[tuple[str, str], dict[str, Any]] = {}
        # What only the one who pressed was told.
        self.replies: list[str] = []
        self.channels = {"C0ALERTS": "#token4good-alerts", "C0SUPPORT": "#support"}
        self.token = "xoxb-stand-in-token"
        self.signing_secret = signing_secret or "8f742231b10e8888abcd99yyyzzz85a5"
        self.portal_url = portal_url
        # The next call of a method is answered once its event is set.
        self.gates: dict[str, threading.Event] = {}
        self._counter = itertools.count(1)
        self._guard = threading.Lock()

    @property
    def calls(self) -> list[str]:
        """The methods called, in order."""
        return [
            one.path.removeprefix("/api/")
            for one in self.requests
            if one.path.startswith("/api/")
        ]

    def tops(self, channel: str) -> list[dict[str, Any]]:
        """What stands in a channel itself, the oldest first."""
        return [
            message
            for (where, _ts), message in sorted(self.messages.items())
            if where == channel and "thread_ts" not in message
        ]

    def thread(self, channel: str, ts: str) -> list[dict[str, Any]]:
        """What stands in a thread, the oldest first."""
        return [
            message
            for (where, _ts), message in sorted(self.messages.items())
            if where == channel and message.get("thread_ts") == ts
        ]

    def answer(self, request: Request) -> Answer:
        if request.path.startswith("/actions/"):
            self.replies.append(request.json["text"])
            return Answer(200, "ok")
        if self.answers:
            return self.answers.popleft()
        with self._guard:
            return Answer(
                body=json.dumps(self._said(request)),
                headers={"Content-Type": "application/json; charset=utf-8"},
                gate=self.gates.pop(request.path.removeprefix("/api/"), None),
            )

    def _said(self, request: Request) -> dict[str, Any]:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return {"ok": False, "error": "invalid_auth"}
        body, method = request.json, request.path.removeprefix("/api/")
        problem = slack_problem(request)
        if problem:
            return {"ok": False, "error": problem}
        if method == "chat.postMessage":
            return self._posted(body)
        if method == "chat.update":
            key = (body["channel"], body["ts"])
            if key not in self.messages:
                return {"ok": False, "error": "message_not_found"}
            kept = {k: v for k, v in self.messages[key].items() if k == "thread_ts"}
            self.messages[key] = {**body, **kept}
            return {"ok": True, "channel": key[0], "ts": key[1], "text": body["text"]}
        return {"ok": False, "error": "unknown_method"}

    def _posted(self, body: dict[str, Any]) -> dict[str, Any]:
        names = {name: pk for pk, name in self.channels.items()}
        channel = names.get(body["channel"], body["channel"])
        if channel.startswith("U"):
            # A person's conversation with the app.
            channel = f"D{channel[1:]}"
        elif channel not in self.channels and not channel.startswith("D"):
            return {"ok": False, "error": "channel_not_found"}
        root = body.get("thread_ts")
        if root is not None and (channel, root) not in self.messages:
            return {"ok": False, "error": "thread_not_found"}
        ts = f"1771232401.{next(self._counter):06d}"
        self.messages[channel, ts] = {**body, "channel": channel, "ts": ts}
        return {"ok": True, "channel": channel, "ts": ts, "message": body}

    def buttons(self, message: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The buttons of a message that act, by action."""
        return {
            element["action_id"]: element
            for block in message["blocks"]
            if block["type"] == "actions"
            for element in block["elements"]
            if "url" not in element
        }

    def press(
        self,
        message: dict[str, Any],
        action_id: str,
        *,
        user: str = "U0T4GAICHA",
        team: str = "T0T4G",
        at: float | None = None,
    ) -> tuple[bytes, dict[str, str]]:
        """Make the signed request with which Slack says that somebody pressed."""
        button = self.buttons(message)[action_id]
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": user.lower(), "team_id": team},
            "team": {"id": team, "domain": "token4good"},
            "container": {
                "type": "message",
                "message_ts": message["ts"],
                "channel_id": message["channel"],
            },
            "trigger_id": f"{next(self._counter)}.t4gtrigger",
            "channel": {"id": message["channel"]},
            "message": {"ts": message["ts"]},
            "response_url": f"{self.url.removesuffix('/api')}/actions/T0T4G/1/abc",
            "actions": [{"type": "button", **button, "action_ts": "1.1"}],
        }
        body = urlencode({"payload": json.dumps(payload)}).encode()
        return body, self.signed(body, at=at)

    def signed(self, body: bytes, *, at: float | None = None) -> dict[str, str]:
        """The headers of a request that Slack signed, by its own library."""
        stamp = str(int(time.time() if at is None else at))
        verifier = SignatureVerifier(self.signing_secret)
        signature = verifier.generate_signature(timestamp=stamp, body=body)
        assert signature is not None
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}

    def press_live(self, message: dict[str, Any], action_id: str, **who: Any) -> int:
        """Press a button of the portal that runs at `portal_url`; return the status."""
        body, headers = self.press(message, action_id, **who)
        response = httpx.post(
            f"{self.portal_url}/hooks/slack/actions",
            content=body,
            headers={**headers, "Content-Type": "application/x-www-form-urlencoded"},
            timeout=10,
        )
        return response.status_code
