from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitors.probes.base import Outcome, Reason
from tests.monitors.probing import (
    Site,
    ask_http,
    expect,
    http_answer,
    probe,
    run,
    saying,
    server_tls,
    serving,
)

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@LOOPS
def test_https_passes_with_its_certificate(trusted, loop):
    result = ask_http(
        Site({"/": http_answer(b"x" * 200_000)}),
        tls=server_tls(trusted, "localhost"),
        host="localhost",
        loop=loop,
        assertions=(expect("days_left", "greater_than", "7"),),
    )

    assert result.outcome is Outcome.PASSED, result
    assert result.phases.tls_ms > 0
    assert result.certificate.names == ("localhost",)
    assert len(result.certificate.fingerprint_sha256) == 64
    assert result.facts["tls_version"] == "TLSv1.3"
    assert result.facts["size_bytes"] == 200_000


def now():
    return datetime.now(UTC)


@LOOPS
@pytest.mark.parametrize(
    ("names", "not_before", "not_after", "reason", "message"),
    [
        (
            ("localhost",),
            timedelta(days=-9),
            timedelta(days=-2),
            Reason.TLS_EXPIRED,
            "The certificate expired on ",
        ),
        (
            ("localhost",),
            timedelta(days=2),
            timedelta(days=9),
            Reason.TLS_NOT_YET_VALID,
            "The certificate is not valid before ",
        ),
        (
            ("other.example",),
            timedelta(days=-1),
            timedelta(days=9),
            Reason.TLS_WRONG_HOST,
            "The certificate is for another host: other.example",
        ),
    ],
)
def test_a_bad_certificate_is_told_apart_and_shown(
    trusted, loop, names, not_before, not_after, reason, message
):
    tls = server_tls(
        trusted, *names, not_before=now() + not_before, not_after=now() + not_after
    )

    result = ask_http(Site({"/": http_answer()}), tls=tls, host="localhost", loop=loop)

    assert result.outcome is Outcome.FAILED
    assert result.reason == reason
    assert result.message.startswith(message)
    assert result.certificate.names == names


@LOOPS
def test_an_unknown_authority_is_untrusted(authority, loop):
    result = ask_http(
        Site({"/": http_answer()}), tls=server_tls(authority, "127.0.0.1"), loop=loop
    )

    assert result.reason == Reason.TLS_UNTRUSTED
    assert result.certificate is not None


def test_verification_can_be_switched_off(authority):
    result = ask_http(
        Site({"/": http_answer()}),
        tls=server_tls(authority, "other.example"),
        options={"verify_tls": False},
    )

    assert result.outcome is Outcome.PASSED
    assert result.certificate.names == ("other.example",)


def test_a_port_without_tls_says_so():
    async def scenario():
        async with serving(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
            return await probe("http", f"https://127.0.0.1:{port}/")

    result = run(scenario())

    assert result.reason == Reason.TLS
    assert result.message == "This port does not speak TLS"


def test_a_handshake_that_is_hung_up_on_is_a_lost_connection():
    async def scenario():
        async with serving(saying(b"")) as port:
            return await probe("http", f"https://127.0.0.1:{port}/")

    result = run(scenario())

    assert result.reason == Reason.CONNECTION_LOST
    assert result.message == "The connection was lost (in the TLS handshake)"
