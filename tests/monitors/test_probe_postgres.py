from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from monitors.probes import registry
from monitors.probes.base import Outcome, Reason, UnableToParse
from tests.monitors.probing import (
    black_hole,
    expect,
    free_port,
    hang,
    probe,
    run,
    saying,
    server_tls,
    serving,
)

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def ask(server, *, loop="asyncio", database="postgres", **changes):
    """Probe the real server once, as its own user unless told otherwise."""
    options = {"user": server.user} | changes.pop("options", {})
    changes.setdefault("secret", server.password)
    return run(
        probe(
            "postgres",
            f"localhost:{server.port}/{database}",
            options=options,
            **changes,
        ),
        loop=loop,
    )


@LOOPS
def test_a_database_that_answers_passes(postgres_server, loop):
    result = ask(postgres_server, loop=loop)

    assert result.outcome is Outcome.PASSED, result
    assert result.message == "The database answers"
    assert result.facts["server_version"].startswith("18.")
    assert result.phases.connect_ms > 0
    assert result.phases.first_byte_ms > 0


@LOOPS
@pytest.mark.parametrize(
    ("query", "assertion"),
    [
        ("SELECT 40 + 2", expect("answer", "equals", "42")),
        ("SELECT true", expect("answer", "equals", "true")),
        ("SELECT NULL", expect("answer", "is_missing")),
        ("SELECT 1 WHERE false", expect("answer", "is_missing")),
        ("SHOW transaction_read_only", expect("answer", "equals", "on")),
        ("SELECT generate_series(1, 10000000)", expect("answer", "equals", "1")),
    ],
)
def test_the_first_value_is_the_answer(postgres_server, query, assertion, loop):
    result = ask(
        postgres_server, options={"query": query}, assertions=(assertion,), loop=loop
    )

    assert result.outcome is Outcome.PASSED, result


def test_another_answer_fails(postgres_server):
    result = ask(postgres_server, assertions=(expect("answer", "equals", "2"),))

    assert result.message == 'Answer: expected "2", saw "1"'


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("CREATE TABLE t (a int)", "read-only transaction"),
        ("SELECT 1; SELECT 2", "multiple commands"),
        ("COMMIT; DROP TABLE t", "multiple commands"),
        ("SELEKT", "syntax error"),
    ],
)
def test_only_one_reading_statement_runs(postgres_server, query, why):
    result = ask(postgres_server, options={"query": query})

    assert result.reason == Reason.UNEXPECTED_ANSWER
    assert result.message.startswith("The query failed: ")
    assert why in result.message


@LOOPS
def test_a_slow_query_ends_at_the_deadline(postgres_server, loop):
    started = time.monotonic()

    result = ask(
        postgres_server,
        loop=loop,
        options={"query": "SELECT pg_sleep(30)"},
        timeout_s=0.3,
    )

    assert result.reason == Reason.TIMEOUT
    assert result.message.endswith("waiting for the first byte")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"secret": "wrong"}, "password authentication failed"),
        ({"secret": ""}, "no password supplied"),
        ({"options": {"user": "stranger"}}, "password authentication failed"),
    ],
)
def test_a_refused_login_is_told(postgres_server, changes, words):
    result = ask(postgres_server, **changes)

    assert result.reason == Reason.AUTHENTICATION
    assert words in result.message
    assert "127.0.0.1" not in result.message


def test_a_missing_database_is_told(postgres_server):
    result = ask(postgres_server, database="nowhere")

    assert result.reason == Reason.UNEXPECTED_ANSWER
    assert result.message == 'database "nowhere" does not exist'


async def pass_on(reader, writer):
    """Copy one direction of a conversation until it ends."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def behind_tls(server, tls):
    """The real server behind PostgreSQL's way of asking for TLS: the wheel's build
    speaks none itself."""

    async def handler(reader, writer):
        assert await reader.readexactly(8) == b"\0\0\0\x08\x04\xd2\x16\x2f"
        writer.write(b"S")
        await writer.start_tls(tls)
        inner_reader, inner_writer = await asyncio.open_connection(
            "127.0.0.1", server.port
        )
        try:
            await asyncio.gather(
                pass_on(reader, inner_writer), pass_on(inner_reader, writer)
            )
        finally:
            inner_writer.transport.abort()

    return handler


def ask_over_tls(server, authority, *names, policy):
    async def scenario():
        handler = behind_tls(server, server_tls(authority, *names))
        async with serving(handler) as port:
            return await probe(
                "postgres",
                f"localhost:{port}/postgres",
                options={"user": server.user, "tls": policy},
                secret=server.password,
            )

    return run(scenario())


def test_tls_is_used_where_required(postgres_server, authority):
    result = ask_over_tls(postgres_server, authority, policy="require")

    assert result.outcome is Outcome.PASSED, result


def test_required_tls_that_is_not_offered_fails(postgres_server):
    result = ask(postgres_server, options={"tls": "require"})

    assert result.reason == Reason.TLS
    assert result.message == "server does not support SSL, but SSL was required"


def test_a_trusted_certificate_is_verified(postgres_server, trusted):
    result = ask_over_tls(postgres_server, trusted, policy="verify-full")

    assert result.outcome is Outcome.PASSED, result


def test_an_untrusted_certificate_fails(postgres_server, authority):
    result = ask_over_tls(postgres_server, authority, policy="verify-full")

    assert result.reason == Reason.TLS_UNTRUSTED


def test_a_certificate_for_another_host_fails(postgres_server, trusted):
    result = ask_over_tls(
        postgres_server, trusted, "other.example", policy="verify-full"
    )

    assert result.reason == Reason.TLS_WRONG_HOST


def test_a_password_is_not_told_to_a_server_that_asks_for_it_plainly():
    # AuthenticationCleartextPassword, as the protocol writes it.
    heard = []

    async def curious(reader, writer):
        heard.append(await reader.read(1000))
        writer.write(b"R\x00\x00\x00\x08\x00\x00\x00\x03")
        heard.append(await reader.read(1000))

    async def scenario():
        async with serving(curious) as port:
            return await probe(
                "postgres",
                f"127.0.0.1:{port}/x",
                options={"tls": "disable"},
                secret="s3cret",
            )

    result = run(scenario())

    assert result.outcome is Outcome.FAILED
    assert result.reason == Reason.AUTHENTICATION
    assert b"s3cret" not in b"".join(heard)


def pretend(handler, **changes):
    """Probe somebody who is no PostgreSQL."""

    async def scenario():
        async with serving(handler) as port:
            options = {"tls": "disable"}
            return await probe(
                "postgres", f"127.0.0.1:{port}/x", options=options, **changes
            )

    return run(scenario())


def test_another_protocol_is_a_result():
    result = pretend(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"))

    assert result.outcome is Outcome.FAILED
    assert "127.0.0.1" not in result.message


def test_hanging_up_is_a_lost_connection():
    assert pretend(saying(b"")).reason == Reason.CONNECTION_LOST


def test_silence_is_a_timeout():
    result = pretend(hang, timeout_s=0.3)

    assert result.reason == Reason.TIMEOUT
    assert result.message == "No answer within 0.3 s; connecting"


def test_a_closed_port_is_refused():
    result = run(probe("postgres", f"localhost:{free_port()}/x"))

    assert (result.reason, result.message) == (
        Reason.REFUSED,
        "The connection was refused",
    )


@LOOPS
def test_a_port_that_does_not_answer_times_out(loop):
    with black_hole() as port:
        result = run(probe("postgres", f"127.0.0.1:{port}/x", timeout_s=0.3), loop=loop)

    assert result.reason == Reason.TIMEOUT


def test_a_private_target_needs_permission(postgres_server):
    result = ask(postgres_server, may_use_private_targets=False)

    assert result.reason == Reason.BLOCKED_ADDRESS


@pytest.mark.parametrize(
    "target",
    [
        "db.example/app",
        "db.example:6000/app",
        "postgresql://db.example:5432/app",
        "[::1]:5/x",
    ],
)
def test_a_target_names_host_and_database(target):
    registry.get("postgres").check_target(target)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "db.example",
        "db.example:5432/",
        "/var/run/postgresql/x",
        "postgresql://me:secret@db.example/app",
        "me@db.example/app",
        "postgresql://db.example/app?sslmode=disable",
        "mysql://db.example/app",
        "postgresql://[::1/app",
        "postgresql:///app?host=/tmp",
    ],
)
def test_other_targets_are_refused(target):
    with pytest.raises(UnableToParse) as caught:
        registry.get("postgres").check_target(target)

    assert caught.value.field == "target"


@pytest.mark.parametrize(
    ("options", "field"),
    [({"user": " "}, "user"), ({"query": ""}, "query"), ({"tls": "maybe"}, "tls")],
)
def test_senseless_options_are_refused(options, field):
    with pytest.raises(UnableToParse) as caught:
        registry.parse_options("postgres", options)

    assert caught.value.field == field
