from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitors.probes import registry
from monitors.probes.base import Outcome, Reason, UnableToParse
from tests.monitors.probing import (
    expect,
    hang,
    probe,
    run,
    saying,
    server_tls,
    serving,
)

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def ask(tls, *, host="localhost", loop="asyncio", handler=hang, **changes):
    """Serve with this TLS context and probe it once."""

    async def scenario():
        async with serving(handler, tls=tls) as port:
            return await probe("tls", f"{host}:{port}", **changes)

    return run(scenario(), loop=loop)


def in_days(count):
    return datetime.now(UTC) + timedelta(days=count, minutes=1)


@LOOPS
def test_a_good_certificate_passes(trusted, loop):
    result = ask(server_tls(trusted, "localhost", not_after=in_days(40)), loop=loop)

    assert result.outcome is Outcome.PASSED, result
    assert result.message == "The certificate is valid for 40 days"
    assert result.facts["days_left"] == 40
    assert result.facts["tls_version"] == "TLSv1.3"
    assert result.certificate.names == ("localhost",)
    assert result.phases.tls_ms > 0


def test_few_days_left_fail_an_assertion_and_show_the_certificate(trusted):
    result = ask(
        server_tls(trusted, "localhost", not_after=in_days(10)),
        assertions=(expect("days_left", "greater_than", "14"),),
    )

    assert result.reason == Reason.ASSERTION
    assert result.message == "Certificate days left: expected more than 14, saw 10"
    assert result.certificate is not None


@LOOPS
@pytest.mark.parametrize(
    ("names", "begins", "ends", "reason"),
    [
        (("localhost",), -9, -2, Reason.TLS_EXPIRED),
        (("localhost",), 2, 9, Reason.TLS_NOT_YET_VALID),
        (("other.example", "127.0.0.1"), -1, 9, Reason.TLS_WRONG_HOST),
    ],
)
def test_bad_certificates_are_told_apart(trusted, loop, names, begins, ends, reason):
    tls = server_tls(
        trusted, *names, not_before=in_days(begins), not_after=in_days(ends)
    )

    result = ask(tls, loop=loop)

    assert result.outcome is Outcome.FAILED
    assert result.reason == reason
    assert result.certificate.names == names


def test_an_address_must_be_in_the_certificate(trusted):
    result = ask(server_tls(trusted, "localhost"), host="127.0.0.1")

    assert result.reason == Reason.TLS_WRONG_HOST


def test_an_unknown_authority_is_untrusted_but_shown(authority):
    result = ask(server_tls(authority, "localhost"))

    assert result.reason == Reason.TLS_UNTRUSTED
    assert result.message.startswith("The certificate is not trusted: ")
    assert "trustme" in result.certificate.issuer


def test_the_name_in_the_certificate_may_differ_from_the_target(trusted):
    result = ask(
        server_tls(trusted, "shop.example"), options={"server_name": "shop.example"}
    )

    assert result.outcome is Outcome.PASSED


def test_a_port_without_tls_says_so():
    result = ask(None, handler=saying(b"220 mail.example\r\n"))

    assert result.reason == Reason.TLS
    assert result.message == "This port does not speak TLS"


def test_silence_is_a_timeout():
    result = ask(None, timeout_s=0.3)

    assert result.reason == Reason.TIMEOUT
    assert result.message.endswith("in the TLS handshake")


def test_the_port_defaults_to_443():
    registry.get("tls").check_target("example.org")
    with pytest.raises(UnableToParse):
        registry.get("tls").check_target("https://example.org")


def test_the_name_must_be_one():
    with pytest.raises(UnableToParse) as caught:
        registry.parse_options("tls", {"server_name": "no name"})

    assert caught.value.field == "server_name"
