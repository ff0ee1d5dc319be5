from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import time
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from statistics import median

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from t4g_portal.lib import egress
from t4g_portal.lib.egress import BlockedAddress, check_address
from tests.monitors.probing import (
    black_hole,
    hang,
    run,
    saying,
    script_lookups,
    server_tls,
    serving,
)

EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))
LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a01:4f8::1", "192.0.1.1"],
)
def test_global_addresses_are_allowed(address):
    assert check_address(address) == ip_address(address)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fc00::1", "private"),
        ("fdff::1", "private"),
        ("fec0::1", "private"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("64:ff9b::a00:1", "translated"),
        ("192.0.0.8", "reserved"),
        ("192.0.2.1", "reserved"),
        ("198.18.0.1", "reserved"),
        ("198.51.100.1", "reserved"),
        ("203.0.113.1", "reserved"),
        ("240.0.0.1", "reserved"),
        ("100::1", "reserved"),
        ("2001:db8::1", "reserved"),
        ("3fff::1", "reserved"),
        ("5f00::1", "reserved"),
        ("4000::1", "reserved"),
    ],
)
def test_inner_addresses_are_blocked_unless_listed(address, reason):
    with pytest.raises(BlockedAddress) as caught:
        check_address(address)
    assert caught.value.reason == reason

    if reason != "translated":
        assert str(check_address(address, allowed_networks=EVERYTHING)) == address
    other = (ip_network("10.99.0.0/16"), ip_network("fd99::/16"))
    with pytest.raises(BlockedAddress):
        check_address(address, allowed_networks=other)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("169.254.169.254", "metadata"),
        ("169.254.170.2", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("192.0.0.192", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("fe80::1", "metadata"),
        ("fe80::1%eth0", "metadata"),
        ("2606:4700::1%eth0", "metadata"),
        ("::ffff:169.254.169.254", "metadata"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "multicast"),
        ("192.88.99.1", "translated"),
        ("2002:a9fe:a9fe::", "translated"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "translated"),
        ("64:ff9b:1::1", "translated"),
        ("::a9fe:a9fe", "translated"),
        ("::7f00:1", "translated"),
    ],
)
def test_some_addresses_are_never_reached_listed_or_not(address, reason):
    with pytest.raises(BlockedAddress) as caught:
        check_address(address, allowed_networks=EVERYTHING)

    assert caught.value.reason == reason


def test_a_listed_nat64_gateway_carries_only_to_what_is_allowed():
    gateway = (ip_network("64:ff9b::/96"),)

    assert check_address("64:ff9b::101:101", allowed_networks=gateway).version == 6
    with pytest.raises(BlockedAddress):
        check_address("64:ff9b::a00:1", allowed_networks=gateway)


def judged(address):
    """The address to connect to, or the reason not to."""
    try:
        return check_address(address)
    except BlockedAddress as exc:
        return exc.reason


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_as_what_it_is(address: IPv4Address):
    assert judged(IPv6Address(f"::ffff:{address}")) == judged(address)


@given(st.ip_addresses())
def test_whatever_python_calls_not_global_is_blocked(address):
    if not address.is_global or address.is_multicast:
        with pytest.raises(BlockedAddress):
            check_address(address)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "127.0.0.1", "169.254.169.254", "fd00::1"]
)
def test_the_reason_never_names_the_address(address):
    with pytest.raises(BlockedAddress) as caught:
        check_address(address)

    assert str(caught.value)
    assert address not in str(caught.value)


def test_what_is_no_address_is_an_error():
    with pytest.raises(ValueError, match="does not appear"):
        check_address("example.org")


def test_a_malformed_setting_is_a_configuration_error(settings):
    settings.EGRESS_ALLOWED_NETWORKS = ["10.0.0.1/8"]

    with pytest.raises(ImproperlyConfigured, match="EGRESS_ALLOWED_NETWORKS"):
        egress.allowed_networks(may_use_private=True)
    assert egress.allowed_networks(may_use_private=False) == ()


async def connected(**changes):
    """Connect through the guard and hang up."""
    stream = await egress.open_connection(**{"may_use_private": True} | changes)
    stream.abort()
    return stream


@LOOPS
def test_a_literal_address_asks_no_resolver(monkeypatch, loop):
    calls = script_lookups(monkeypatch, [])

    found = run(egress.resolve(host="127.0.0.1", may_use_private=True), loop=loop)

    assert (found, calls) == (("127.0.0.1",), [])


def test_one_forbidden_answer_forbids_the_name(monkeypatch):
    script_lookups(monkeypatch, ["1.1.1.1", "10.0.0.1"])

    with pytest.raises(BlockedAddress):
        run(egress.resolve(host="rebind.example"))


@LOOPS
def test_a_name_that_changes_its_mind_is_asked_once(monkeypatch, loop):
    calls = script_lookups(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])

    async def scenario():
        async with serving(hang) as port:
            stream = await egress.open_connection(
                host="rebind.example", port=port, may_use_private=True
            )
            stream.abort()

    run(scenario(), loop=loop)

    assert calls == [b"rebind.example"]


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "017700000001"])
def test_numbers_that_mean_loopback_are_seen_through(host):
    with pytest.raises(BlockedAddress) as caught:
        run(egress.resolve(host=host))

    assert caught.value.reason == "loopback"


@pytest.mark.parametrize(
    "host", ["", "a" * 64 + ".example", "nul\0.example", "é.example"]
)
def test_a_name_that_leads_nowhere_says_so(host):
    with pytest.raises(egress.UnableToResolve) as caught:
        run(egress.resolve(host=host))

    assert str(caught.value).startswith(("The name ", "No name server answered"))


def test_the_portals_own_networks_need_the_callers_consent():
    assert run(egress.resolve(host="localhost", may_use_private=True))
    with pytest.raises(BlockedAddress):
        run(egress.resolve(host="localhost", may_use_private=False))


def test_metadata_stays_closed_when_listed(settings):
    settings.EGRESS_ALLOWED_NETWORKS = ["0.0.0.0/0", "::/0"]

    for host in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200"):
        with pytest.raises(BlockedAddress):
            run(egress.resolve(host=host, may_use_private=True))


def test_lookup_time_leaves_out_the_wait_for_a_thread(monkeypatch):
    def lookup(host, port, *args, **kwargs):
        time.sleep(0.05)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)

    async def scenario():
        recorders = [egress.Timings() for _ in range(5 * 32)]
        await asyncio.gather(
            *(egress.resolve(host="x.example", recorder=one) for one in recorders)
        )
        return median(one.dns_ms or 0 for one in recorders)

    # With the wait it would be 150 ms.
    assert run(scenario()) < 120


def test_lookups_go_on_after_a_fork():
    # A thread pool of the parent is dead in the child, and would never answer.
    program = """
import os, django
from django.conf import settings
settings.configure(EGRESS_ALLOWED_NETWORKS=["127.0.0.0/8", "::1/128"])
from t4g_portal.lib import egress
look = lambda: egress.resolve_blocking(
    host="localhost", timeout_s=5, may_use_private=True)
look()
pid = os.fork()
if not pid:
    os._exit(0 if look() else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


@LOOPS
def test_the_next_address_is_tried_when_one_refuses(monkeypatch, loop):
    script_lookups(monkeypatch, ["127.0.0.9", "127.0.0.1"])

    async def scenario():
        async with serving(hang) as port:
            recorder = egress.Timings()
            await connected(host="two.example", port=port, recorder=recorder)
            return recorder

    recorder = run(scenario(), loop=loop)

    assert recorder.connect_ms > 0
    assert recorder.dns_ms > 0


@LOOPS
def test_the_next_address_gets_its_chance_while_one_is_silent(monkeypatch, loop):
    script_lookups(monkeypatch, ["127.0.0.2", "127.0.0.1"])

    async def scenario():
        async with serving(hang) as port:
            with black_hole("127.0.0.2", port):
                started = time.perf_counter()
                await connected(host="two.example", port=port)
                return time.perf_counter() - started

    assert 0.2 < run(scenario(), loop=loop) < 2


def test_a_refusal_says_more_than_a_missing_route(monkeypatch):
    script_lookups(monkeypatch, ["127.0.0.9", "127.0.0.8"])

    with pytest.raises(ConnectionRefusedError):
        run(connected(host="two.example", port=1))


@LOOPS
def test_tls_is_secured_for_the_name_not_the_address(monkeypatch, trusted, loop):
    script_lookups(monkeypatch, ["127.0.0.1"])

    async def scenario():
        async with serving(saying(b"hi"), tls=server_tls(trusted, "a.example")) as port:
            stream = await egress.open_connection(
                host="a.example",
                port=port,
                may_use_private=True,
                tls=egress.ssl_context(),
            )
            stream.write(b"hello")
            heard = await stream.read(100)
            ended = await stream.read(100)
            stream.abort()
            with pytest.raises(ssl.SSLCertVerificationError):
                await connected(
                    host="a.example",
                    port=port,
                    tls=egress.ssl_context(),
                    server_name="b.example",
                )
            return heard, ended

    assert run(scenario(), loop=loop) == (b"hi", b"")


@LOOPS
def test_much_data_passes_through_tls_unharmed(trusted, loop):
    sent = os.urandom(700_000)

    async def scenario():
        async with serving(saying(sent), tls=server_tls(trusted)) as port:
            stream = await egress.open_connection(
                host="127.0.0.1",
                port=port,
                may_use_private=True,
                tls=egress.ssl_context(),
            )
            stream.write(b"go")
            received = bytearray()
            while piece := await stream.read(65536):
                received += piece
            stream.abort()
            return bytes(received)

    assert run(scenario(), loop=loop) == sent


def test_reading_beyond_the_limit_is_refused():
    async def scenario():
        async with serving(saying(b"x" * 100_000)) as port:
            stream = await egress.open_connection(
                host="127.0.0.1", port=port, may_use_private=True
            )
            stream.limit_bytes = 50_000
            stream.write(b"go")
            try:
                while True:
                    await stream.read(65536)
            finally:
                stream.abort()

    with pytest.raises(egress.AnswerTooLarge):
        run(scenario())


def test_a_process_makes_one_context_a_policy():
    assert egress.ssl_context() is egress.ssl_context()
    assert egress.ssl_context(verify=False) is not egress.ssl_context()
    assert egress.ssl_context().verify_mode is ssl.CERT_REQUIRED
    assert egress.ssl_context().check_hostname
    assert egress.ssl_context().minimum_version >= ssl.TLSVersion.TLSv1_2
