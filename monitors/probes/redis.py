"""The Redis probe: AUTH where asked, then PING; the protocol is spoken by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from monitors.probes import assertions, failures
from monitors.probes.base import Outcome, Phases, ProbeRequest, ProbeResult, Reason
from monitors.probes.options import option
from monitors.probes.targets import parse_endpoint
from monitors.probes.texts import excerpt, one_line
from t4g_portal.lib.egress import GuardedStream, Stage, open_connection, ssl_context

DEFAULT_PORT = 6379
_MAX_LINE_BYTES = 1024


class UnableToSpeak(Exception):
    """The peer's bytes are no Redis reply; `received` is how they begin."""

    def __init__(self, received: bytes) -> None:
        super().__init__()
        self.received = received


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """How to log in and whether to encrypt. The password is the secret."""

    username: str = option(
        "",
        type="text",
        label=_("user name"),
        help=_("Empty: Redis's default user."),
        maximum=200,
    )
    use_tls: bool = option(False, type="switch", label=_("use TLS"))
    verify_tls: bool = option(True, type="switch", label=_("verify the certificate"))


class RedisProbe:
    """Connects, logs in when there is a secret, and expects PONG."""

    kind: ClassVar[str] = "redis"
    label: ClassVar[Any] = _("Redis")
    options_type: ClassVar[type[Any]] = RedisOptions
    target_example: ClassVar[str] = "cache.example.org:6379"
    subjects: ClassVar[frozenset[str]] = frozenset(("latency",))
    is_passive: ClassVar[bool] = False

    def check_target(self, target: str) -> None:
        """Raise UnableToParse unless `target` is host or host:port."""
        parse_endpoint(target, default_port=DEFAULT_PORT)

    async def probe(self, request: ProbeRequest, phases: Phases) -> ProbeResult:
        """PING; a server that is still loading, or asks who we are, says so."""
        options: RedisOptions = request.options
        endpoint = parse_endpoint(request.target, default_port=DEFAULT_PORT)
        stream = await open_connection(
            host=endpoint.host,
            port=endpoint.port,
            may_use_private=request.may_use_private_targets,
            recorder=phases,
            tls=ssl_context(verify=options.verify_tls) if options.use_tls else None,
        )
        try:
            reply = await _converse(stream, options.username, request.secret, phases)
        except UnableToSpeak as exc:
            return failures.failed(
                Reason.PROTOCOL,
                pgettext("stored", "The answer is not Redis's")
                if exc.received
                else pgettext("stored", "The connection was closed without an answer"),
                phases,
                excerpt=excerpt(exc.received),
            )
        finally:
            stream.abort()
        return _judge(request, phases, reply)


async def _converse(
    stream: GuardedStream, username: str, secret: str, phases: Phases
) -> str:
    """The first reply that is an error, or the one to PING. Raises UnableToSpeak."""
    phases.stage = Stage.FIRST_BYTE
    if secret:
        names = [username] if username else []
        reply = await _ask(stream, phases, "AUTH", *names, secret)
        if reply.startswith("-"):
            return reply
    return await _ask(stream, phases, "PING")


async def _ask(stream: GuardedStream, phases: Phases, *words: str) -> str:
    stream.write(_command(*words))
    line = await _read_line(stream)
    spent_ms = (stream.last_byte_at - stream.sent_at) * 1000
    phases.first_byte_ms = (phases.first_byte_ms or 0.0) + max(spent_ms, 0.0)
    return line


def _command(*words: str) -> bytes:
    """A command as RESP's array of bulk strings: any byte may be in a password."""
    encoded = [word.encode() for word in words]
    parts = [b"*%d\r\n" % len(encoded)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded]
    return b"".join(parts)


async def _read_line(stream: GuardedStream) -> str:
    received = bytearray()
    while b"\r\n" not in received:
        piece = await stream.read(_MAX_LINE_BYTES)
        received += piece
        if not piece or len(received) > _MAX_LINE_BYTES or received[:1] not in b"+-":
            raise UnableToSpeak(bytes(received))
    line, _, _ = bytes(received).partition(b"\r\n")
    return line.decode("utf-8", "replace")


def _judge(request: ProbeRequest, phases: Phases, reply: str) -> ProbeResult:
    if reply != "+PONG":
        return _refusal(reply, phases)
    unmet = assertions.judge(
        request.assertions, assertions.Seen(latency_ms=phases.total_ms)
    )
    if unmet is not None:
        return failures.failed(Reason.ASSERTION, unmet, phases, failed_assertion=unmet)
    return ProbeResult(
        outcome=Outcome.PASSED, reason=int(Reason.OK), message="PONG", phases=phases
    )


def _refusal(reply: str, phases: Phases) -> ProbeResult:
    code = reply[1:].partition(" ")[0]
    shown = one_line(reply[1:])
    if code in ("NOAUTH", "WRONGPASS", "NOPERM") or "AUTH" in shown.partition(":")[0]:
        message = {
            "NOAUTH": pgettext("stored", "Redis asks for a password"),
            "WRONGPASS": pgettext("stored", "Redis refuses the user name or password"),
        }.get(
            code,
            pgettext("stored", "Redis refuses the login: %(why)s") % {"why": shown},
        )
        return failures.failed(Reason.AUTHENTICATION, message, phases, excerpt=shown)
    message = {
        "LOADING": pgettext("stored", "Redis is still loading its data"),
        "MASTERDOWN": pgettext("stored", "This replica has lost its master"),
        "BUSY": pgettext("stored", "Redis is busy with a script"),
    }.get(code, pgettext("stored", "Redis answered %(reply)s") % {"reply": shown})
    return failures.failed(Reason.UNEXPECTED_ANSWER, message, phases, excerpt=shown)
