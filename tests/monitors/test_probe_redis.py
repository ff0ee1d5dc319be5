from __future__ import annotations

import pytest

from monitors.probes import registry
from monitors.probes.base import Outcome, Reason, UnableToParse
from tests.monitors.probing import expect, hang, probe, run, saying, serving

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def ask(handler, **changes):
    """Probe somebody who pretends to be Redis."""

    async def scenario():
        async with serving(handler) as port:
            return await probe("redis", f"127.0.0.1:{port}", **changes)

    return run(scenario())


@LOOPS
def test_redis_answers(redis_servers, loop):
    result = run(probe("redis", f"localhost:{redis_servers()}"), loop=loop)

    assert (result.outcome, result.message) == (Outcome.PASSED, "PONG")
    assert result.phases.first_byte_ms > 0


def test_redis_with_a_password_lets_the_secret_in(redis_servers):
    port = redis_servers("--requirepass", "correct horse")

    result = run(probe("redis", f"127.0.0.1:{port}", secret="correct horse"))

    assert result.outcome is Outcome.PASSED


def test_a_missing_password_is_told(redis_servers):
    port = redis_servers("--requirepass", "correct horse")

    result = run(probe("redis", f"127.0.0.1:{port}"))

    assert result.reason == Reason.AUTHENTICATION
    assert result.message == "Redis asks for a password"


@pytest.mark.parametrize("username", ["", "stranger"])
def test_a_wrong_password_is_told(redis_servers, username):
    port = redis_servers("--requirepass", "correct horse")

    result = run(
        probe(
            "redis",
            f"127.0.0.1:{port}",
            secret="wrong",
            options={"username": username},
        )
    )

    assert result.reason == Reason.AUTHENTICATION
    assert result.message == "Redis refuses the user name or password"


def test_a_password_where_none_is_set_is_told(redis_servers):
    result = run(probe("redis", f"127.0.0.1:{redis_servers()}", secret="surplus"))

    assert result.reason == Reason.AUTHENTICATION


@LOOPS
def test_redis_over_tls(redis_servers, trusted, loop):
    port = redis_servers("--databases", "1", is_tls=True)

    result = run(
        probe("redis", f"localhost:{port}", options={"use_tls": True}), loop=loop
    )

    assert result.outcome is Outcome.PASSED
    assert result.phases.tls_ms > 0


@pytest.mark.parametrize(
    ("reply", "reason", "message"),
    [
        (
            b"-LOADING Redis is loading the dataset in memory\r\n",
            Reason.UNEXPECTED_ANSWER,
            "Redis is still loading its data",
        ),
        (
            b"-MASTERDOWN Link with MASTER is down\r\n",
            Reason.UNEXPECTED_ANSWER,
            "This replica has lost its master",
        ),
        (
            b"-ERR max number of clients reached\r\n",
            Reason.UNEXPECTED_ANSWER,
            "Redis answered ERR max number of clients reached",
        ),
        (b"+OK\r\n", Reason.UNEXPECTED_ANSWER, "Redis answered OK"),
        (b"HTTP/1.1 400 Bad\r\n\r\n", Reason.PROTOCOL, "The answer is not Redis's"),
        (b"+" + b"x" * 5000, Reason.PROTOCOL, "The answer is not Redis's"),
        (b"", Reason.PROTOCOL, "The connection was closed without an answer"),
    ],
)
def test_other_answers_are_told_apart(reply, reason, message):
    result = ask(saying(reply))

    assert (result.reason, result.message) == (reason, message)


def test_silence_is_a_timeout():
    assert ask(hang, timeout_s=0.3).reason == Reason.TIMEOUT


def test_latency_can_be_judged(redis_servers):
    result = run(
        probe(
            "redis",
            f"127.0.0.1:{redis_servers()}",
            assertions=(expect("latency", "less_than", "0"),),
        )
    )

    assert result.reason == Reason.ASSERTION


def test_the_port_defaults_to_6379():
    registry.get("redis").check_target("cache.example")
    with pytest.raises(UnableToParse):
        registry.get("redis").check_target("redis://cache.example")
