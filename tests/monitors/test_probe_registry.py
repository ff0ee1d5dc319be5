from __future__ import annotations

import asyncio
import errno
import socket
import threading
from dataclasses import replace

import pytest
from django.utils.functional import Promise

from monitors.probes import failures, registry
from monitors.probes.assertions import SUBJECTS
from monitors.probes.base import Outcome, Phases, Reason, UnableToParse
from monitors.probes.options import OPTION_TYPES, format_ranges, parse_ranges
from monitors.probes.texts import excerpt, one_line
from t4g_portal.lib import egress
from t4g_portal.lib.egress import Stage
from t4g_portal.lib.egress.names import LOOKUP_THREADS
from tests.monitors.probing import (
    Site,
    expect,
    http_answer,
    make_request,
    run,
    serving,
)


def test_every_kind_is_complete():
    assert set(registry.kinds()) == {
        "http",
        "heartbeat",
        "tls",
        "tcp",
        "dns",
        "icmp",
        "postgres",
        "redis",
    }
    for kind in registry.kinds():
        one = registry.get(kind)
        assert one.kind == kind
        assert isinstance(one.label, Promise)
        assert one.subjects <= set(SUBJECTS)
        one.check_target(one.target_example)


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_option_can_be_asked_for_in_a_form(kind):
    defaults = {}
    for field in registry.describe_options(kind):
        assert field.type in OPTION_TYPES
        assert str(field.label)
        assert (field.type == "choice") == bool(field.choices)
        defaults[field.name] = field.default

    # What the form shows untouched means the same as no options at all.
    assert registry.parse_options(kind, defaults) == registry.parse_options(kind, {})


def test_choices_name_every_kind():
    assert dict(registry.choices())["http"] == "HTTP(S)"
    assert len(registry.choices()) == len(registry.kinds())


def test_an_unknown_kind_is_refused():
    with pytest.raises(UnableToParse):
        registry.parse_options("carrier-pigeon", {})


@pytest.mark.parametrize("raw", [None, [], "x", 3])
def test_options_that_are_no_object_are_refused(raw):
    with pytest.raises(UnableToParse):
        registry.parse_options("http", raw)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("http", {"body": "a\0b"}),
        ("http", {"username": "a\nb"}),
        ("http", {"username": 3}),
        ("http", {"body": "x" * 70_000}),
        ("http", {"max_redirects": float("nan")}),
        ("http", {1: 2}),
    ],
)
def test_values_of_a_wrong_type_or_size_are_refused(kind, raw):
    with pytest.raises(UnableToParse):
        registry.parse_options(kind, raw)


def test_a_kind_says_which_subjects_it_can_see():
    registry.check_subject("http", expect("json", "exists", argument="a"))
    with pytest.raises(UnableToParse):
        registry.check_subject("icmp", expect("body", "exists"))


def test_a_misconfigured_target_is_a_result():
    result = run(registry.run(make_request("tcp", "no port")))

    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.MISCONFIGURED)


def test_an_unknown_kind_is_a_result():
    request = replace(make_request("tcp", "localhost:1"), kind="carrier-pigeon")

    assert run(registry.run(request)).reason == Reason.MISCONFIGURED


def test_a_bug_is_our_own_fault_and_logged(caplog):
    request = replace(make_request("tcp", "localhost:1"), options=None)

    async def scenario():
        async with serving(Site({"/": http_answer()})) as port:
            return await registry.run(replace(request, target=f"localhost:{port}"))

    result = run(scenario())

    assert (result.outcome, result.reason) == (Outcome.ERROR, Reason.INTERNAL)
    assert "AttributeError" in caplog.text


def test_lookups_that_find_no_thread_are_our_own_fault(monkeypatch):
    released = threading.Event()
    lookups = []

    def hang(host, *args, **kwargs):
        lookups.append(host)
        released.wait(9)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def scenario():
        others = [
            asyncio.ensure_future(egress.resolve(host="slow.example"))
            for _ in range(LOOKUP_THREADS - 1)
        ]
        while len(lookups) < LOOKUP_THREADS - 1:
            await asyncio.sleep(0.001)
        try:
            # The first one gets the last thread, the second one none.
            return await asyncio.gather(
                registry.run(make_request("tcp", "slow.example:1", timeout_s=0.3)),
                registry.run(make_request("tcp", "fine.example:1", timeout_s=0.3)),
            )
        finally:
            released.set()
            await asyncio.gather(*others, return_exceptions=True)

    slow, fine = run(scenario())

    assert slow.message == "No answer within 0.3 s; looking up the name"
    assert (fine.outcome, fine.reason) == (Outcome.ERROR, Reason.NO_RESOURCES)


@pytest.mark.parametrize(
    ("code", "outcome", "reason"),
    [
        (errno.ECONNREFUSED, Outcome.FAILED, Reason.REFUSED),
        (errno.EHOSTUNREACH, Outcome.FAILED, Reason.UNREACHABLE),
        (errno.ENETUNREACH, Outcome.FAILED, Reason.UNREACHABLE),
        (errno.ECONNRESET, Outcome.FAILED, Reason.CONNECTION_LOST),
        (errno.EPIPE, Outcome.FAILED, Reason.CONNECTION_LOST),
        (errno.ETIMEDOUT, Outcome.FAILED, Reason.TIMEOUT),
        (errno.EMFILE, Outcome.ERROR, Reason.NO_RESOURCES),
        (errno.ENFILE, Outcome.ERROR, Reason.NO_RESOURCES),
        (errno.ENOBUFS, Outcome.ERROR, Reason.NO_RESOURCES),
        (errno.ENOMEM, Outcome.ERROR, Reason.NO_RESOURCES),
        (errno.EADDRNOTAVAIL, Outcome.ERROR, Reason.NO_RESOURCES),
    ],
)
def test_errors_of_the_system_are_read_alike(code, outcome, reason):
    result = failures.from_exception(OSError(code, "x"), Phases())

    assert result is not None
    assert (result.outcome, result.reason) == (outcome, reason)


def test_an_error_nobody_expected_is_left_to_the_log():
    assert failures.from_exception(OSError(errno.EINVAL, "x"), Phases()) is None
    assert failures.from_exception(KeyError("x"), Phases()) is None


def test_a_timeout_tells_how_far_the_probe_got():
    phases = Phases(dns_ms=3.2, connect_ms=12.4, stage=Stage.FIRST_BYTE)

    result = failures.timed_out(timeout_s=10, phases=phases)

    assert result.message == (
        "No answer within 10 s; DNS 3 ms, connect 12 ms, waiting for the first byte"
    )


def test_ranges_read_back_as_people_write_them():
    assert format_ranges(parse_ranges("200-299,301, 0.5 - 1")) == "200–299, 301, 0.5–1"


def test_foreign_text_is_harmless():
    assert one_line("a\r\n\tb\0\x1b[0m\N{RIGHT-TO-LEFT OVERRIDE}c\ud800") == "a b[0mc"
    assert one_line("x" * 300) == "x" * 199 + "…"
    assert excerpt("x\0y\x07\n") == "xy\n"
    assert len(excerpt("€" * 1024).encode()) <= 1024
