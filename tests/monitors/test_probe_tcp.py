from __future__ import annotations

import time

import pytest

from monitors.probes import registry
from monitors.probes.base import Outcome, Reason, UnableToParse
from tests.monitors.probing import (
    expect,
    free_port,
    hang,
    probe,
    run,
    saying,
    saying_for_ever,
    server_tls,
    serving,
)

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def ask(handler, *, loop="asyncio", tls=None, **changes):
    """Serve with `handler` and probe its port once."""

    async def scenario():
        async with serving(handler, tls=tls) as port:
            return await probe("tcp", f"127.0.0.1:{port}", **changes)

    return run(scenario(), loop=loop)


async def greet(reader, writer):
    """A server that speaks first."""
    writer.write(b"220 mail.example ESMTP\r\n")
    await reader.read()


@LOOPS
def test_an_open_port_passes(loop):
    result = ask(hang, loop=loop)

    assert result.outcome is Outcome.PASSED
    assert result.message == "The port accepts connections"
    assert result.phases.connect_ms > 0
    assert result.phases.first_byte_ms is None


def test_a_closed_port_is_refused():
    result = run(probe("tcp", f"127.0.0.1:{free_port()}"))

    assert result.reason == Reason.REFUSED


@LOOPS
def test_a_greeting_is_awaited(loop):
    result = ask(greet, loop=loop, options={"expect": "220 "})

    assert result.outcome is Outcome.PASSED
    assert result.phases.first_byte_ms is not None


@LOOPS
def test_what_is_sent_brings_the_expected_answer(loop):
    options = {"send": r"PING\r\n", "expect": r"PONG\x0d\n"}

    result = ask(saying(b"PO", b"NG\r\n"), loop=loop, options=options)

    assert result.message == "The port answers as expected"


def test_a_wrong_answer_is_shown_before_the_deadline():
    result = ask(greet, options={"expect": "250 "}, timeout_s=0.3)

    assert result.reason == Reason.UNEXPECTED_ANSWER
    assert result.message == "The answer lacks the expected text"
    assert result.excerpt == "220 mail.example ESMTP\n"


def test_silence_is_a_timeout():
    result = ask(hang, options={"expect": "x"}, timeout_s=0.3)

    assert result.reason == Reason.TIMEOUT
    assert result.message.endswith("waiting for the first byte")


def test_hanging_up_is_no_answer():
    result = ask(saying(b""), options={"send": "x", "expect": "y"})

    assert result.message == "The connection was closed without an answer"


def test_an_endless_answer_is_cut():
    started = time.monotonic()

    result = ask(saying_for_ever(b"x" * 9000), options={"send": "x", "expect": "y"})

    assert result.reason == Reason.UNEXPECTED_ANSWER
    assert time.monotonic() - started < 5


def test_the_answer_can_be_judged():
    result = ask(greet, assertions=(expect("answer", "matches", r"^554 "),))

    assert result.reason == Reason.ASSERTION
    assert result.failed_assertion == (
        'Answer: expected to match "^554 ", saw "220 mail.example ESMTP"'
    )


@LOOPS
def test_tls_is_spoken_when_asked_for(trusted, loop):
    result = ask(
        greet,
        loop=loop,
        tls=server_tls(trusted),
        options={"use_tls": True, "expect": "220"},
    )

    assert result.outcome is Outcome.PASSED
    assert result.phases.tls_ms > 0


def test_an_untrusted_certificate_fails(authority):
    result = ask(greet, tls=server_tls(authority), options={"use_tls": True})

    assert result.reason == Reason.TLS_UNTRUSTED


@pytest.mark.parametrize(
    "target",
    [
        "",
        "example.org",
        "example.org:",
        "example.org:0",
        "example.org:x",
        "[::1]",
        "::1",
        "http://example.org:80",
        "a b:1",
        "a@b:1",
        "example.org:80/x",
        "[::1:80",
        "[x]:1",
    ],
)
def test_a_target_without_host_and_port_is_refused(target):
    with pytest.raises(UnableToParse):
        registry.get("tcp").check_target(target)


@pytest.mark.parametrize(
    "target", ["example.org:25", "[::1]:25", "10.0.0.1:1", "é.de:9"]
)
def test_a_target_with_host_and_port_is_taken(target):
    registry.get("tcp").check_target(target)
