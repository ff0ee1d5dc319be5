from __future__ import annotations

import asyncio
import gzip
import resource
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitors.probes import registry
from monitors.probes.base import Outcome, Reason
from tests.monitors.probing import (
    Site,
    ask_http,
    black_hole,
    expect,
    free_port,
    hang,
    http_answer,
    make_request,
    probe,
    run,
    saying,
    saying_for_ever,
    serving,
)

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@LOOPS
def test_a_closed_port_is_refused(loop):
    result = run(probe("http", f"http://127.0.0.1:{free_port()}/"), loop=loop)

    assert result.reason == Reason.REFUSED
    assert result.message == "The connection was refused"


@LOOPS
def test_a_silent_server_times_out_with_the_phases_so_far(loop):
    result = ask_http(hang, loop=loop, timeout_s=0.3)

    assert result.outcome is Outcome.FAILED
    assert result.reason == Reason.TIMEOUT
    assert result.message == (
        "No answer within 0.3 s;"
        f" connect {result.phases.connect_ms:.0f} ms, waiting for the first byte"
    )


@LOOPS
def test_a_port_that_does_not_answer_times_out_while_connecting(loop):
    with black_hole() as port:
        request = probe("http", f"http://127.0.0.1:{port}/", timeout_s=0.3)
        result = run(request, loop=loop)

    assert result.message == "No answer within 0.3 s; connecting"


@LOOPS
def test_a_silent_handshake_times_out_in_tls(loop):
    async def scenario():
        async with serving(hang) as port:
            url = f"https://127.0.0.1:{port}/"
            return await probe("http", url, timeout_s=0.3)

    result = run(scenario(), loop=loop)

    assert result.reason == Reason.TIMEOUT
    assert result.message.endswith("in the TLS handshake")


def test_a_dripping_body_does_not_outlast_the_deadline():
    drip = saying_for_ever(b"x", first=http_answer(b"", length=1000), pause_s=0.02)

    result = ask_http(drip, timeout_s=0.3)

    assert result.reason == Reason.TIMEOUT
    assert result.message.endswith("reading the answer")


def test_the_end_of_the_file_handles_is_our_own_fault():
    async def scenario():
        async with serving(Site({"/": http_answer()})) as port:
            request = make_request("http", f"http://127.0.0.1:{port}/")
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                return await registry.run(request)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    for loop in ("asyncio", "uvloop"):
        result = run(scenario(), loop=loop)

        assert result.outcome is Outcome.ERROR
        assert result.reason == Reason.NO_RESOURCES


def test_a_cancelled_probe_stays_cancelled():
    async def scenario():
        async with serving(hang) as port:
            request = make_request("http", f"http://127.0.0.1:{port}/")
            task = asyncio.create_task(registry.run(request))
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(scenario())


HEAD = b"HTTP/1.1 200 OK\r\n"


@LOOPS
@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", Reason.CONNECTION_LOST),
        (b"HTTP/1.1 200", Reason.CONNECTION_LOST),
        (http_answer(b"half", length=100), Reason.CONNECTION_LOST),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", Reason.CONNECTION_LOST),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Reason.PROTOCOL),
        (b"220 mail.example ESMTP\r\n\r\n", Reason.PROTOCOL),
        (b"\x16\x03\x01\x00\xa5" * 20, Reason.PROTOCOL),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", Reason.PROTOCOL),
        (b"HTTP/1.1 099 Early\r\n\r\n", Reason.PROTOCOL),
        (b"HTTP/1.1 101 Switching\r\n\r\n", Reason.PROTOCOL),
        (HEAD + b"no colon here\r\n\r\n", Reason.PROTOCOL),
        (HEAD + b"Content-Length: -5\r\n\r\n", Reason.PROTOCOL),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", Reason.PROTOCOL),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", Reason.PROTOCOL),
    ],
)
def test_a_broken_answer_is_a_result(loop, sent, reason):
    result = ask_http(saying(sent), loop=loop)

    assert result.outcome is Outcome.FAILED
    assert result.reason == reason


def test_another_protocol_is_noticed_at_once_and_shown():
    result = ask_http(saying_for_ever(b"", first=b"SSH-2.0-OpenSSH_9.2", pause_s=1))

    assert result.message == "The answer is not valid HTTP"
    assert result.excerpt == "SSH-2.0-OpenSSH_9.2"


@LOOPS
def test_an_answer_without_a_length_ends_with_the_connection(loop):
    result = ask_http(saying(b"HTTP/1.0 200 OK\r\n\r\nsome", b" text"), loop=loop)

    assert result.outcome is Outcome.PASSED
    assert result.facts == {"http_version": "HTTP/1.0", "size_bytes": 9}


def test_interim_answers_are_skipped():
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"

    assert ask_http(saying(interim, http_answer())).status_code == 200


@LOOPS
def test_endless_interim_answers_end(loop):
    result = ask_http(
        saying_for_ever(b"HTTP/1.1 100 Continue\r\n\r\n" * 500), loop=loop
    )

    assert result.reason == Reason.PROTOCOL
    assert result.message == "The headers do not end"


@LOOPS
@pytest.mark.parametrize("piece", [b"X-Bomb: " + b"a" * 1000 + b"\r\n", b"a" * 1000])
def test_endless_headers_end(loop, piece):
    result = ask_http(saying_for_ever(piece, first=HEAD), loop=loop)

    assert result.reason == Reason.PROTOCOL


@LOOPS
@pytest.mark.parametrize(
    "handler",
    [
        saying_for_ever(b"x" * 65536, first=http_answer(b"", length=10**12)),
        saying_for_ever(b"x" * 65536, first=b"HTTP/1.0 200 OK\r\n\r\n"),
    ],
)
def test_an_endless_body_is_cut_and_memory_stays_bounded(loop, handler):
    tracemalloc.start()
    try:
        result = ask_http(handler, loop=loop)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert result.outcome is Outcome.PASSED
    assert result.facts["size_bytes"] == 256 * 1024
    assert result.facts["is_truncated"] is True
    assert peak_bytes < 8 * 1024 * 1024


def test_crumbs_of_one_byte_use_up_the_allowance():
    crumbs = saying_for_ever(
        b"1\r\nx\r\n" * 3000, first=HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    )

    result = ask_http(crumbs)

    assert result.facts["is_truncated"] is True
    assert result.facts["size_bytes"] < 64 * 1024


def test_a_flood_leaves_the_loop_to_others():
    async def scenario():
        turns = 0

        async def watch():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        crumbs = b"1\r\nx\r\n" * 40_000
        flood = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + crumbs
        async with serving(saying(flood)) as port:
            watcher = asyncio.create_task(watch())
            await probe("http", f"http://127.0.0.1:{port}/", timeout_s=30.0)
            watcher.cancel()
        return turns

    assert run(scenario()) > 40_000 / 64


def test_json_of_a_cut_answer_is_not_judged():
    body = b'["' + b"x" * 300_000 + b'"]'

    result = ask_http(
        Site({"/": http_answer(body)}),
        assertions=(expect("json", "exists", argument="[0]"),),
    )

    assert result.message == "JSON [0]: the answer is too large to be read as JSON"


def test_a_binary_answer_leaves_a_clean_excerpt():
    body = b"\x00\x01bad\xff\x1b[31m\x7f\xe2\x80\xae done\r\n" + "é".encode() * 900

    result = ask_http(Site({"/": http_answer(body, status="500 Oh")}))

    assert result.excerpt.startswith("bad\N{REPLACEMENT CHARACTER}[31m done\né")
    assert len(result.excerpt.encode()) <= 1024


def test_a_compressed_answer_is_not_unpacked():
    bomb = gzip.compress(b"\0" * 10_000_000)

    result = ask_http(
        Site({"/": http_answer(bomb, "Content-Encoding: gzip")}),
        assertions=(expect("body", "contains", "\0"),),
    )

    assert result.facts["size_bytes"] == len(bomb)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from([b"", HEAD, HEAD + b"Transfer-Encoding: chunked\r\n\r\n"]),
    st.binary(max_size=300),
)
def test_no_answer_whatever_makes_a_probe_raise(head, rest):
    result = ask_http(saying(head + rest))

    assert result.outcome in (Outcome.PASSED, Outcome.FAILED)
    assert (
        result.excerpt.isprintable() or "\n" in result.excerpt or "\t" in result.excerpt
    )
