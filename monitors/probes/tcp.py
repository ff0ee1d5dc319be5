"""The TCP probe: does the port accept, and does it say what it should?"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from monitors.probes import assertions, failures
from monitors.probes.base import Outcome, Phases, ProbeRequest, ProbeResult, Reason
from monitors.probes.options import option
from monitors.probes.targets import parse_endpoint
from monitors.probes.texts import excerpt
from t4g_portal.lib.egress import GuardedStream, Stage, open_connection, ssl_context

MAX_ANSWER_BYTES = 64 * 1024
# The share of the time-out to wait for an answer, so that a wrong one can be shown.
_PATIENCE = 0.9
_ESCAPED = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|[rnt0\\])")


def parse_escapes(text: str) -> bytes:
    r"""Typed text as bytes, with \r \n \t \0 \\ and \xNN for what keys don't have."""
    return _ESCAPE.sub(
        lambda found: _ESCAPED.get(found[1]) or bytes([int(found[1][1:], 16)]),
        text.encode(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpOptions:
    """What to say, and what to hear."""

    send: bytes = option(
        "",
        type="text",
        label=_("send"),
        help=_(r"Sent after connecting. \r \n \t \xNN stand for what can't be typed."),
        maximum=4000,
        parse=parse_escapes,
    )
    expect: bytes = option(
        "",
        type="text",
        label=_("expect"),
        help=_("Text that must appear in the answer. Empty: connecting is enough."),
        maximum=1000,
        parse=parse_escapes,
    )
    use_tls: bool = option(False, type="switch", label=_("use TLS"))
    verify_tls: bool = option(True, type="switch", label=_("verify the certificate"))


class TcpProbe:
    """Connects, may send a text and may wait for one."""

    kind: ClassVar[str] = "tcp"
    label: ClassVar[Any] = _("TCP port")
    options_type: ClassVar[type[Any]] = TcpOptions
    target_example: ClassVar[str] = "mail.example.org:25"
    subjects: ClassVar[frozenset[str]] = frozenset(("answer", "latency"))
    is_passive: ClassVar[bool] = False

    def check_target(self, target: str) -> None:
        """Raise UnableToParse unless `target` is host:port."""
        parse_endpoint(target)

    async def probe(self, request: ProbeRequest, phases: Phases) -> ProbeResult:
        """Connect, send, read until the expected text or the end."""
        options: TcpOptions = request.options
        endpoint = parse_endpoint(request.target)
        started = asyncio.get_running_loop().time()
        stream = await open_connection(
            host=endpoint.host,
            port=endpoint.port,
            may_use_private=request.may_use_private_targets,
            recorder=phases,
            tls=ssl_context(verify=options.verify_tls) if options.use_tls else None,
        )
        answer = b""
        try:
            if options.send:
                stream.write(options.send)
            if options.expect or _wants_answer(request):
                patience_ends = started + request.timeout_s * _PATIENCE
                answer = await _read(stream, options.expect, patience_ends, phases)
        finally:
            stream.abort()
        return _judge(request, phases, answer)


def _wants_answer(request: ProbeRequest) -> bool:
    return any(spec.subject == "answer" for spec in request.assertions)


async def _read(
    stream: GuardedStream, expect: bytes, patience_ends: float, phases: Phases
) -> bytes:
    """Everything up to the expected text, the end, the cap, or the end of patience.

    Without a text to wait for, the first bytes are the answer.
    """
    answer = bytearray()
    phases.stage = Stage.FIRST_BYTE
    try:
        while len(answer) < MAX_ANSWER_BYTES:
            # Before the first byte the deadline decides, and says so in its own words.
            async with asyncio.timeout_at(patience_ends if answer else None):
                piece = await stream.read(MAX_ANSWER_BYTES)
            if not piece:
                break
            answer += piece
            phases.stage = Stage.TRANSFER
            if expect in answer:
                break
    except TimeoutError:
        pass
    if answer:
        # A greeting may have come before we asked.
        asked_at = stream.sent_at or stream.ready_at
        phases.first_byte_ms = max(stream.first_byte_at - asked_at, 0.0) * 1000
        phases.transfer_ms = (stream.last_byte_at - stream.first_byte_at) * 1000
    return bytes(answer)


def _judge(request: ProbeRequest, phases: Phases, answer: bytes) -> ProbeResult:
    options: TcpOptions = request.options
    if options.expect not in answer:
        return failures.failed(
            Reason.UNEXPECTED_ANSWER,
            pgettext("stored", "The answer lacks the expected text")
            if answer
            else pgettext("stored", "The connection was closed without an answer"),
            phases,
            excerpt=excerpt(answer),
        )
    seen = assertions.Seen(
        answer=answer.decode("utf-8", "replace") if answer else None,
        latency_ms=phases.total_ms,
    )
    unmet = assertions.judge(request.assertions, seen)
    if unmet is not None:
        return failures.failed(
            Reason.ASSERTION,
            unmet,
            phases,
            failed_assertion=unmet,
            excerpt=excerpt(answer),
        )
    return ProbeResult(
        outcome=Outcome.PASSED,
        reason=int(Reason.OK),
        message=pgettext("stored", "The port answers as expected")
        if answer
        else pgettext("stored", "The port accepts connections"),
        phases=phases,
    )
