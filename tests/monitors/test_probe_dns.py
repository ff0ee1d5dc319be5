from __future__ import annotations

import asyncio
import contextlib

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from monitors.probes import registry
from monitors.probes.base import Outcome, Reason, UnableToParse
from tests.monitors.probing import expect, free_port, probe, run

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
ZONE = {
    ("example.org.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("example.org.", "AAAA"): ["2001:db8::1"],
    ("example.org.", "MX"): ["10 mail.example.org.", "20 Backup.example.org."],
    ("example.org.", "TXT"): ['"v=spf1 " "-all"', '"caf\\195\\169"'],
    ("xn--mnchen-3ya.de.", "A"): ["192.0.2.9"],
    ("_dmarc.example.org.", "TXT"): ['"v=DMARC1"'],
}
NAMES = {name for name, _type in ZONE}


class NameServer(asyncio.DatagramProtocol):
    """Answers from ZONE over UDP; some names make it misbehave."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text().lower()
        record_type = question.rdtype.name
        answer = dns.message.make_response(query)
        if name == "silent.example.":
            return
        if name == "broken.example.":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name == "garbage.example.":
            self.transport.sendto(b"\xff" * 40, address)
            return
        elif name not in NAMES:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif records := ZONE.get((name, record_type)):
            answer.answer.append(
                dns.rrset.from_text(name, 60, "IN", record_type, *records)
            )
        self.transport.sendto(answer.to_wire(), address)


@contextlib.asynccontextmanager
async def name_server():
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        NameServer, local_addr=("127.0.0.1", 0)
    )
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
        await asyncio.sleep(0)


def ask(name, record_type="A", *, loop="asyncio", **changes):
    """Ask our name server once."""
    options = {"record_type": record_type} | changes.pop("options", {})

    async def scenario():
        async with name_server() as port:
            options.setdefault("resolver", f"127.0.0.1:{port}")
            return await probe("dns", name, options=options, **changes)

    return run(scenario(), loop=loop)


@LOOPS
def test_an_answer_passes_and_is_shown(loop):
    result = ask("example.org", loop=loop)

    assert result.outcome is Outcome.PASSED, result
    assert result.message == "192.0.2.1, 192.0.2.2"
    assert result.facts["answers"] == ["192.0.2.1", "192.0.2.2"]
    assert result.phases.dns_ms > 0
    assert result.phases.connect_ms is None


@pytest.mark.parametrize(
    ("name", "record_type", "expected"),
    [
        ("example.org", "A", "192.0.2.2"),
        ("Example.ORG.", "AAAA", "2001:DB8::1"),
        ("example.org", "MX", "10 mail.example.org\n20 backup.example.org."),
        ("example.org", "TXT", "v=spf1 -all\ncafé"),
        ("münchen.de", "A", "192.0.2.9"),
        ("_dmarc.example.org", "TXT", "v=DMARC1"),
    ],
)
def test_expected_answers_pass(name, record_type, expected):
    result = ask(name, record_type, options={"expected": expected})

    assert result.outcome is Outcome.PASSED, result


def test_a_missing_answer_fails():
    result = ask("example.org", options={"expected": "192.0.2.1\n192.0.2.7"})

    assert result.reason == Reason.UNEXPECTED_ANSWER
    assert result.message == "Expected 192.0.2.7, saw 192.0.2.1, 192.0.2.2"


def test_a_surplus_answer_fails_when_only_the_expected_are_wanted():
    options = {"expected": "192.0.2.1", "is_exact": True}

    result = ask("example.org", options=options)

    assert result.message == "Saw 192.0.2.2 besides what was expected"


def test_the_answer_can_be_judged():
    result = ask("example.org", assertions=(expect("answer", "contains", "192.0.3"),))

    assert result.reason == Reason.ASSERTION


@LOOPS
@pytest.mark.parametrize(
    ("name", "record_type", "message"),
    [
        ("nowhere.example", "A", "The name does not exist"),
        ("example.org", "CAA", "The name has no CAA record"),
        ("broken.example", "A", "The name servers failed: SERVFAIL"),
    ],
)
def test_failures_of_the_zone_are_told_apart(name, record_type, message, loop):
    result = ask(name, record_type, loop=loop)

    assert (result.reason, result.message) == (Reason.DNS, message)
    assert result.phases.dns_ms > 0


@pytest.mark.parametrize("name", ["silent.example", "garbage.example"])
def test_silence_and_garbage_time_out(name):
    result = ask(name, timeout_s=0.3)

    assert result.reason in (Reason.TIMEOUT, Reason.DNS)
    assert result.outcome is Outcome.FAILED


def test_nobody_at_the_port_is_a_result():
    result = run(
        probe(
            "dns",
            "example.org",
            options={"resolver": f"127.0.0.1:{free_port()}"},
            timeout_s=0.3,
        )
    )

    assert result.outcome is Outcome.FAILED
    assert "127.0.0.1" not in result.message


def test_a_name_server_on_a_private_network_needs_permission():
    result = ask("example.org", may_use_private_targets=False)

    assert result.reason == Reason.BLOCKED_ADDRESS


@pytest.mark.parametrize(
    "target", ["", "a..b", "x" * 64 + ".de", "http://x", "a b", "x:5"]
)
def test_what_is_no_domain_name_is_refused(target):
    with pytest.raises(UnableToParse):
        registry.get("dns").check_target(target)


@pytest.mark.parametrize(
    ("options", "field"),
    [({"record_type": "ANY"}, "record_type"), ({"resolver": "a/b"}, "resolver")],
)
def test_senseless_options_are_refused(options, field):
    with pytest.raises(UnableToParse) as caught:
        registry.parse_options("dns", options)

    assert caught.value.field == field
