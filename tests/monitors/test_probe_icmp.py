from __future__ import annotations

import os
import socket

import pytest

from monitors.probes import registry
from monitors.probes.base import Outcome, Reason, UnableToParse
from tests.monitors.probing import expect, probe, run

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def may_ping():
    """Whether this process may open one of the two kinds of ICMP sockets."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
        except PermissionError:
            continue
        return True
    return False


@LOOPS
@pytest.mark.parametrize("target", ["127.0.0.1", "localhost"])
def test_a_reply_passes_or_the_missing_right_is_explained(target, loop):
    result = run(probe("icmp", target), loop=loop)

    if may_ping():
        assert result.outcome is Outcome.PASSED, result
        assert result.message.startswith("Reply in ")
        assert result.phases.first_byte_ms > 0
        assert result.facts["loss_percent"] == 0
    else:
        assert result.reason == Reason.NO_RESOURCES


def test_a_machine_that_may_not_ping_says_what_to_do():
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        is_allowed = may_ping()
        result = run(probe("icmp", "127.0.0.1"))
    finally:
        if was_root:
            os.seteuid(0)

    if is_allowed:
        assert result.outcome is Outcome.PASSED
    else:
        assert result.outcome is Outcome.ERROR
        assert result.reason == Reason.NO_RESOURCES
        assert "net.ipv4.ping_group_range" in result.message


@pytest.mark.skipif(not may_ping(), reason="no right to open an ICMP socket")
def test_latency_can_be_judged():
    result = run(
        probe("icmp", "127.0.0.1", assertions=(expect("latency", "less_than", "0"),))
    )

    assert result.reason == Reason.ASSERTION


def test_a_private_target_needs_permission():
    result = run(probe("icmp", "127.0.0.1", may_use_private_targets=False))

    assert result.reason == Reason.BLOCKED_ADDRESS


@pytest.mark.parametrize("target", ["", "host:80", "http://host", "[::1]", "a b"])
def test_what_is_no_host_is_refused(target):
    with pytest.raises(UnableToParse):
        registry.get("icmp").check_target(target)


@pytest.mark.parametrize("target", ["example.org", "::1", "10.0.0.1"])
def test_a_host_is_taken(target):
    registry.get("icmp").check_target(target)


@pytest.mark.parametrize(
    "options", [{"count": 0}, {"count": 11}, {"max_loss_percent": 100}]
)
def test_senseless_options_are_refused(options):
    with pytest.raises(UnableToParse):
        registry.parse_options("icmp", options)
