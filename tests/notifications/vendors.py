"""Twilio and OVHcloud on loopback: they check who asks as the vendors do, keep what was
sent, and can be slow, refuse, or lose their answers. Flow tests start them as they are.

Nothing of ours is imported: a stand-in that shares our code shares our mistakes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

ACCOUNT_SID = "AC00112233445566778899aabbccddeeff"
AUTH_TOKEN = "12345t4gauthtoken"
OVH_SERVICE = "sms-t412345-1"
OVH_KEY, OVH_SECRET, OVH_CONSUMER = "t4gAppKey", "t4gAppSecret", "t4gConsumerKey"


@dataclass
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.time)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Mood:
    """How the next request is answered.

    `takes`: whether the request is carried out first, as when only its answer is lost.
    `status` 0 hangs up without an answer.
    """

    status: int = 500
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    takes: bool = False


Reply = tuple[int, Any]


class Vendor:
    """An HTTP server; `moods` are used up one by one, then it is itself again.

    `delay_s` slows every request down. `port` 0 takes any.
    """

    def __init__(self, *, port: int = 0, delay_s: float = 0.0) -> None:
        self.asked: list[Asked] = []
        self.moods: deque[Mood] = deque()
        self.delay_s = delay_s
        self.lock = threading.Lock()
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                split = urlsplit(self.path)
                asked = Asked(
                    method=self.command,
                    path=split.path,
                    query={k: v[0] for k, v in parse_qs(split.query).items()},
                    headers={k.lower(): v for k, v in self.headers.items()},
                    body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
                )
                with vendor.lock:
                    vendor.asked.append(asked)
                    is_tried = vendor.is_moody(asked) and vendor.moods
                    mood = vendor.moods.popleft() if is_tried else None
                status, body, headers = 0, None, {}
                if mood is None or mood.takes:
                    status, body = vendor.reply(asked)
                time.sleep(mood.delay_s if mood and mood.delay_s else vendor.delay_s)
                if mood is not None and not (mood.takes and mood.status == 200):
                    status, body = mood.status, mood.body
                    headers = dict(mood.headers)
                if status == 0:
                    self.close_connection = True
                    return
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = handle_one

            def log_message(self, *args: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def is_moody(self, asked: Asked) -> bool:
        """Whether this is a request that `moods` are about."""
        return asked.method == "POST"

    def reply(self, asked: Asked) -> Reply:
        raise NotImplementedError

    def run(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *args: object) -> None:
        """A client that hangs up is no news."""


@contextmanager
def standing_in(vendor: Vendor) -> Iterator[Any]:
    thread = threading.Thread(target=vendor.run, daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        vendor.stop()
        thread.join()


class Twilio(Vendor):
    """Messages and calls of one account; `report` calls back, signed."""

    def __init__(
        self, *, sid: str = ACCOUNT_SID, token: str = AUTH_TOKEN, **options: Any
    ) -> None:
        self.sid, self.token = sid, token
        self.messages: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        # Number → (code, message) with which it is refused.
        self.refused: dict[str, tuple[int, str]] = {}
        self.is_callback_refused = False
        self._numbers = itertools.count(1)
        super().__init__(**options)

    def reply(self, asked: Asked) -> Reply:
        base = f"/2010-04-01/Accounts/{self.sid}/"
        pair = base64.b64encode(f"{self.sid}:{self.token}".encode()).decode()
        if not hmac.compare_digest(
            asked.headers.get("authorization", ""), f"Basic {pair}"
        ) or not asked.path.startswith(base):
            return 401, self._error(20003, "Authenticate", 401)
        rest = asked.path.removeprefix(base)
        if asked.method == "POST" and rest == "Messages.json":
            return self._create(asked, self.messages, "SM", "body", "Body")
        if asked.method == "POST" and rest == "Calls.json":
            return self._create(asked, self.calls, "CA", "twiml", "Twiml")
        if asked.method == "GET" and rest == "Messages.json":
            return 200, self._listed(asked, self.messages, "messages", "DateSent>")
        for rows in (self.messages, self.calls):
            for row in rows:
                if asked.method == "GET" and rest.endswith(f"/{row['sid']}.json"):
                    return 200, row
        return 404, self._error(20404, "The requested resource was not found", 404)

    def set_status(self, sid: str, status: str, error_code: int | None = None) -> None:
        """Let a message or a call become something, without saying so."""
        row = next(one for one in self.messages + self.calls if one["sid"] == sid)
        row["status"], row["error_code"] = status, error_code

    def report(
        self, sid: str, status: str, *, code: int | None = None, token: str = ""
    ) -> int:
        """Call the message's StatusCallback and return the HTTP status of the answer."""
        row = next(one for one in self.messages + self.calls if one["sid"] == sid)
        kind = "Message" if sid.startswith("SM") else "Call"
        form = {
            f"{kind}Sid": sid,
            f"{kind}Status": status,
            "To": row["to"],
            "From": row["from"] or "",
            "AccountSid": self.sid,
            "ApiVersion": "2010-04-01",
        }
        if code:
            form["ErrorCode"] = str(code)
        return self.post_signed(row["_callback"], form, token=token)

    def detect(self, sid: str, answered_by: str, *, tells: bool = True) -> int:
        """Know who answered a call, and tell its AsyncAmdStatusCallback if it `tells`."""
        row = next(one for one in self.calls if one["sid"] == sid)
        assert row["_listens"], "nobody asked who answers"
        row["answered_by"] = answered_by
        if not tells:
            return 0
        form = {
            "CallSid": sid,
            "AccountSid": self.sid,
            "AnsweredBy": answered_by,
            "MachineDetectionDuration": "2400",
        }
        return self.post_signed(row["_amd_callback"], form)

    def post_signed(self, url: str, form: Mapping[str, str], *, token: str = "") -> int:
        """POST a form as Twilio does and return the HTTP status of the answer."""
        return _post(
            url,
            urlencode(form).encode(),
            {
                "Content-Type": "application/x-www-form-urlencoded",
                "X-Twilio-Signature": twilio_signature(token or self.token, url, form),
            },
        )

    def _create(
        self, asked: Asked, rows: list[dict[str, Any]], prefix: str, key: str, name: str
    ) -> Reply:
        form = asked.form
        to = form.get("To", "")
        if to in self.refused:
            code, message = self.refused[to]
            return 400, self._error(code, message)
        if not to.startswith("+") or not to[1:].isdigit():
            return 400, self._error(21211, f"The 'To' number {to} is not valid.")
        if not form.get("From") and not form.get("MessagingServiceSid"):
            return 400, self._error(21603, "A 'From' phone number is required.")
        if not form.get(name) or len(form[name]) > (1600 if prefix == "SM" else 4000):
            return 400, self._error(21602, f"'{name}' is required.")
        if self.is_callback_refused and form.get("StatusCallback"):
            return 400, self._error(21609, "The StatusCallback URL is not valid.")
        with self.lock:
            row = {
                "sid": f"{prefix}{next(self._numbers):032x}",
                "account_sid": self.sid,
                "api_version": "2010-04-01",
                key: form[name],
                "to": to,
                "from": form.get("From"),
                "messaging_service_sid": form.get("MessagingServiceSid"),
                "status": "queued",
                "error_code": None,
                "error_message": None,
                "date_created": format_datetime(datetime.now(UTC)),
                "direction": "outbound-api",
                "num_segments": "1",
                "answered_by": None,
                "_callback": form.get("StatusCallback", ""),
                "_amd_callback": form.get("AsyncAmdStatusCallback", ""),
                "_listens": form.get("MachineDetection") == "Enable",
                "_at": asked.at,
            }
            rows.append(row)
        return 201, row

    def _listed(
        self, asked: Asked, rows: list[dict[str, Any]], key: str, day: str
    ) -> dict[str, Any]:
        since = asked.query.get(day, "")
        found = [
            row
            for row in reversed(rows)
            if asked.query.get("To") in {None, row["to"]}
            and datetime.now(UTC).date().isoformat() >= since
        ]
        return {key: found[: int(asked.query.get("PageSize", 50))], "page": 0}

    def _error(self, code: int, message: str, status: int = 400) -> dict[str, Any]:
        url = f"https://www.twilio.com/docs/errors/{code}"
        return {"code": code, "message": message, "more_info": url, "status": status}


def twilio_signature(token: str, url: str, form: Mapping[str, str]) -> str:
    signed = url + "".join(key + form[key] for key in sorted(form))
    digest = hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


class Ovh(Vendor):
    """One SMS service. Its clock is `skew_s` ahead of ours."""

    def __init__(self, *, skew_s: int = 0, **options: Any) -> None:
        self.skew_s = skew_s
        self.jobs: list[dict[str, Any]] = []
        self.outgoing: dict[int, dict[str, Any]] = {}
        self.invalid: set[str] = set()
        self.credits = 1000
        # Where the service reports deliveries.
        self.callback = ""
        self._numbers = itertools.count(2602160001)
        super().__init__(**options)

    @property
    def api_url(self) -> str:
        return f"{self.url}/1.0"

    def reply(self, asked: Asked) -> Reply:
        if asked.path == "/1.0/auth/time":
            return 200, int(time.time()) + self.skew_s
        problem = self._signature_problem(asked)
        if problem:
            return problem
        base = f"/1.0/sms/{OVH_SERVICE}"
        if not asked.path.startswith(base):
            return 404, self._error("Client::NotFound", "This service does not exist")
        rest = asked.path.removeprefix(base)
        if asked.method == "POST" and rest == "/jobs":
            return self._job(asked.json)
        if asked.method == "GET" and rest == "/outgoing":
            tag = asked.query.get("tag")
            ids = [n for n, row in self.outgoing.items() if tag in {None, row["tag"]}]
            return 200, ids
        if asked.method == "GET" and rest.startswith("/outgoing/"):
            row = self.outgoing.get(int(rest.rpartition("/")[2]))
            if row is None:
                return 404, self._error("Client::NotFound", "No such message")
            return 200, row
        return 404, self._error("Client::NotFound", "Got an invalid (or empty) URL")

    def set_state(self, number: int, *, ptt: int, receipt: int) -> None:
        """Let a message become something, without saying so."""
        self.outgoing[number] |= {"ptt": ptt, "deliveryReceipt": receipt}

    def report(self, number: int, *, ptt: int, url: str = "") -> int:
        """Call the service's callback, which nobody signs; return the HTTP status."""
        query = urlencode(
            {
                "id": number,
                "ptt": ptt,
                "date": "2026-02-16 09:00:05",
                "description": 1 if ptt == 4 else 2,
                "descriptionDlr": "Success" if ptt == 4 else "Failed",
            }
        )
        return _get(f"{url or self.callback}?{query}")

    def _job(self, job: dict[str, Any]) -> Reply:
        if not job.get("sender") and not job.get("senderForResponse"):
            return 400, self._error("Client::BadParameters", "Sender is missing")
        if self.credits < len(job["receivers"]):
            return 403, self._error("Client::Forbidden", "Not enough credits")
        valid = [one for one in job["receivers"] if one not in self.invalid]
        ids = []
        with self.lock:
            self.jobs.append(job)
            for receiver in valid:
                number = next(self._numbers)
                ids.append(number)
                self.outgoing[number] = {
                    "id": number,
                    "receiver": receiver,
                    "message": job["message"],
                    "sender": job.get("sender", ""),
                    "tag": job.get("tag"),
                    "ptt": 1,
                    "deliveryReceipt": 0,
                }
            self.credits -= len(valid)
        return 200, {
            "ids": ids,
            "validReceivers": valid,
            "invalidReceivers": [one for one in job["receivers"] if one not in valid],
            "totalCreditsRemoved": len(valid),
        }

    def _signature_problem(self, asked: Asked) -> Reply | None:
        headers = asked.headers
        if headers.get("x-ovh-application") != OVH_KEY:
            return 403, self._error(
                "Client::Forbidden", "This application key is invalid", "INVALID_KEY"
            )
        if headers.get("x-ovh-consumer") != OVH_CONSUMER:
            return 403, self._error(
                "Client::Forbidden",
                "This credential is not valid",
                "INVALID_CREDENTIAL",
            )
        at = headers.get("x-ovh-timestamp", "0")
        if abs(int(at) - (time.time() + self.skew_s)) > 30:
            return 400, self._error(
                "Client::BadRequest", "Query out of time", "QUERY_TIME_OUT"
            )
        query = f"?{urlencode(asked.query)}" if asked.query else ""
        signed = "+".join(
            (
                OVH_SECRET,
                OVH_CONSUMER,
                asked.method,
                f"{self.url}{asked.path}{query}",
                asked.body.decode(),
                at,
            )
        )
        expected = f"$1${hashlib.sha1(signed.encode()).hexdigest()}"
        if headers.get("x-ovh-signature") != expected:
            return 400, self._error(
                "Client::BadRequest", "Invalid signature", "INVALID_SIGNATURE"
            )
        return None

    def _error(self, name: str, message: str, code: str = "") -> dict[str, Any]:
        return {
            "class": name,
            "message": message,
            "queryId": "EU.ext-1.t4g",
            **({"errorCode": code} if code else {}),
        }


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    return _status(UrlRequest(url, data=body, headers=dict(headers)))


def _get(url: str) -> int:
    return _status(UrlRequest(url))


def _status(request: UrlRequest) -> int:
    try:
        with urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return int(error.code)
