from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest

from kpis.reading import Reading, Reason, UnableToRead
from kpis.sources import postgres, registry, sql_rules
from tests.kpis.business import GUIDE, READER, START, day
from tests.monitors.probing import (
    black_hole,
    free_port,
    hang,
    saying,
    script_lookups,
    server_tls,
    serving,
)
from tests.monitors.test_probe_postgres import behind_tls

NOW = START + timedelta(days=5)


def ask(question, *buckets):
    """Ask once; the answers as they come, in full."""
    return list(registry.read(question, buckets or (day(),), now=NOW))


def ask_one(question, bucket=None):
    (answer,) = ask(question, bucket or day())
    return answer


def failing(question):
    answer = ask_one(question)
    assert isinstance(answer, UnableToRead), answer
    return answer


@pytest.fixture
def unchecked(monkeypatch):
    """Without the static check: what is typed is what runs."""

    def statement(question):
        return sql_rules.bound(question.sql)

    monkeypatch.setattr(postgres, "_statement", statement)


# What an honest question gets.


@pytest.mark.parametrize(
    ("slug", "window", "expected"),
    [
        ("active-users", 7, "7"),
        ("lightning-transactions", 1, "12"),
        ("mentoring-sessions", 7, "56"),
        ("tokens-distributed", 1, "15"),
    ],
)
def test_the_guides_four_are_read(business, slug, window, expected):
    answer = ask_one(business.question(GUIDE[slug]), day(window=window))

    assert isinstance(answer, Reading), answer
    assert answer.value == Decimal(expected)
    assert answer.took_ms > 0


def test_each_bucket_gets_its_own_answer_over_one_connection(business):
    question = business.question(
        "SELECT extract(epoch FROM :end - :start) / 3600 + 0 * count(*)"
        " FROM user_activities WHERE created_at < :end"
    )

    answers = ask(question, day(0), day(1, window=2), day(2, window=7))

    assert [answer.value for answer in answers] == [24, 48, 168]


def test_an_empty_period_is_zero_only_where_the_sql_says_so(business):
    far = day(3000)

    zero = ask_one(business.question(GUIDE["tokens-distributed"]), far)
    unknown = ask_one(
        business.question(
            "SELECT sum(tokens_earned) FROM token_transactions"
            " WHERE created_at >= :start AND created_at < :end"
        ),
        far,
    )

    assert zero.value == 0
    assert unknown.reason is Reason.NULL
    assert unknown.has_answered


def test_the_zone_is_bound_too(business):
    question = business.question(
        "SELECT count(DISTINCT date_trunc('day', created_at AT TIME ZONE :tz))"
        " FROM user_activities WHERE created_at >= :start AND created_at < :end",
        time_zone="Asia/Tokyo",
    )

    # A day in UTC touches two days of Japan.
    assert ask_one(question).value == 2


def test_marks_in_texts_and_comments_stay_what_they_are(business):
    question = business.question(
        "SELECT count(*) /* :end 100% */ FROM mentoring_sessions -- :start\n"
        "WHERE status <> ':end %s' AND created_at < :end AND 7 % 4 = 3"
    )

    assert ask_one(question).value > 0


def test_local_time_without_zone_counts_as_utc(business, unchecked):
    question = business.question("SELECT extract(hour FROM :start::timestamp)")

    assert ask_one(question).value == 0


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("1::smallint", "1"),
        ("2::bigint", "2"),
        ("0.1::float8", "0.1"),
        ("0.25::float4", "0.25"),
        ("-1234567890123456789.123456789", "-1234567890123456789.12345679"),
        ("'-0'::float8", "0"),
        ("1e-30::numeric", "0"),
    ],
)
def test_every_kind_of_number_is_taken(business, unchecked, sql, expected):
    value = ask_one(business.question(f"SELECT {sql}")).value

    assert value == Decimal(expected)
    assert not value.is_signed() or value < 0


# What isn't one number is unknown, with a reason.


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT NULL::int", Reason.NULL),
        ("SELECT 'NaN'::numeric", Reason.NOT_A_NUMBER),
        ("SELECT 'NaN'::float8", Reason.NOT_A_NUMBER),
        ("SELECT 'Infinity'::float8", Reason.NOT_A_NUMBER),
        ("SELECT '-Infinity'::numeric", Reason.NOT_A_NUMBER),
        ("SELECT 'twelve'", Reason.NOT_A_NUMBER),
        ("SELECT '12'", Reason.NOT_A_NUMBER),
        ("SELECT true", Reason.NOT_A_NUMBER),
        ("SELECT NULL", Reason.NOT_A_NUMBER),
        ("SELECT now()", Reason.NOT_A_NUMBER),
        ("SELECT interval '1 day'", Reason.NOT_A_NUMBER),
        ("SELECT '12'::money", Reason.NOT_A_NUMBER),
        ("SELECT array[1]", Reason.NOT_A_NUMBER),
        ("SELECT '{\"a\":1}'::jsonb", Reason.NOT_A_NUMBER),
        ("SELECT 1 WHERE false", Reason.NO_ROWS),
        ("SELECT 1 UNION ALL SELECT 2", Reason.TOO_MANY_ROWS),
        ("SELECT 1, 2", Reason.TOO_MANY_COLUMNS),
        ("SELECT * FROM user_activities", Reason.TOO_MANY_COLUMNS),
        ("SELECT", Reason.TOO_MANY_COLUMNS),
        ("SELECT 1e20::numeric", Reason.OUT_OF_RANGE),
        ("SELECT 1e300::float8", Reason.OUT_OF_RANGE),
        ("SELECT 10::numeric ^ 1000", Reason.OUT_OF_RANGE),
        ("SELECT 1/0", Reason.NOT_A_NUMBER),
        ("SELECT 'x'::int", Reason.NOT_A_NUMBER),
    ],
)
def test_what_is_no_number_is_unknown(business, unchecked, sql, reason):
    assert failing(business.question(sql)).reason is reason


def test_an_error_tells_people_neither_names_nor_values(business, unchecked):
    cast = failing(business.question("SELECT 'a-secret'::int"))
    table = failing(business.question("SELECT count(*) FROM secrets"))

    assert "a-secret" not in cast.message + cast.detail
    assert "secrets" not in table.message
    assert "secrets" in table.detail


# The way there.


def test_the_connection_is_fresh_named_and_gone_afterwards(business, unchecked):
    question = business.question(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 't4g-kpi'"
    )

    # Twice one after the other: each time one's own alone.
    assert [ask_one(question).value for _ in range(2)] == [1, 1]
    assert connections(business) == 0


def connections(business):
    """How many connections of ours are there, in a moment's time."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        count = business.value(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 't4g-kpi'"
        )
        if not count:
            return 0
        time.sleep(0.02)
    return count


def test_it_goes_to_checked_addresses_only(business, monkeypatch):
    calls = script_lookups(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])
    url = f"postgresql://{READER}@db.example:{business.port}/business?sslmode=disable"

    answer = ask_one(business.question(GUIDE["lightning-transactions"], url=url))

    assert answer.value == 12
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"may_use_private_targets": False}, Reason.BLOCKED_ADDRESS),
        ({"url": "postgresql://x@169.254.169.254/x"}, Reason.BLOCKED_ADDRESS),
        ({"url": "postgresql://x@10.1.2.3/x"}, Reason.BLOCKED_ADDRESS),
        ({"url": "postgresql://x@203.0.113.9/x"}, Reason.BLOCKED_ADDRESS),
        ({"url": "postgresql://x@8.8.8.8/x?sslmode=require"}, Reason.UNSAFE_SOURCE),
        ({"url": "postgresql://x@8.8.8.8/x?sslmode=prefer"}, Reason.UNSAFE_SOURCE),
        ({"url": "postgresql://x@8.8.8.8/x?sslmode=disable"}, Reason.UNSAFE_SOURCE),
        ({"url": ""}, Reason.MISCONFIGURED),
        ({"url": "mysql://x@h/x"}, Reason.MISCONFIGURED),
        ({"url": "postgresql://x:pw@h/x"}, Reason.MISCONFIGURED),
        ({"url": "postgresql://x@h/x?host=/tmp"}, Reason.MISCONFIGURED),
        ({"url": "postgresql://x@h/x?sslmode=allow"}, Reason.MISCONFIGURED),
        ({"url": "postgresql://x@h1,h2/x"}, Reason.MISCONFIGURED),
        ({"url": "postgresql://x@%2Ftmp/x"}, Reason.MISCONFIGURED),
        ({"url": "postgresql:///x?user=a"}, Reason.MISCONFIGURED),
        ({"url": "postgresql://x@h/"}, Reason.MISCONFIGURED),
        ({"url": "postgresql://x@h/a%00b"}, Reason.MISCONFIGURED),
        ({"secret": "wrong"}, Reason.PERMISSION),
        ({"kind": "oracle"}, Reason.MISCONFIGURED),
    ],
)
def test_a_way_that_we_must_not_go_is_refused(business, changes, reason):
    question = business.question(GUIDE["active-users"], **changes)

    answer = failing(question)

    assert answer.reason is reason, answer.message
    assert question.secret not in answer.message + answer.detail


def test_a_role_without_connections_left_is_told(business):
    url = business.url_of(READER)
    with (
        psycopg.connect(url, password="reader's horse"),
        psycopg.connect(url, password="reader's horse"),
        psycopg.connect(url, password="reader's horse"),
    ):
        answer = failing(business.question(GUIDE["active-users"]))

    assert answer.reason in (Reason.PERMISSION, Reason.CONNECTION)


def over_tls(business, server, tls, **changes):
    async def scenario():
        async with serving(behind_tls(server, tls)) as port:
            url = f"postgresql://{READER}@localhost:{port}/business"
            question = business.question(GUIDE["active-users"], url=url, **changes)
            return await asyncio.to_thread(ask_one, question)

    return asyncio.run(scenario())


def test_the_certificate_is_verified_unless_told_otherwise(
    business, postgres_server, trusted
):
    good = over_tls(business, postgres_server, server_tls(trusted))
    wrong = over_tls(business, postgres_server, server_tls(trusted, "other.example"))

    assert good.value == 7
    assert wrong.reason is Reason.TLS


def test_an_untrusted_certificate_is_refused(business, postgres_server, authority):
    answer = over_tls(business, postgres_server, server_tls(authority))

    assert answer.reason is Reason.TLS


def test_a_server_without_tls_is_refused_by_default(business):
    url = f"postgresql://{READER}@localhost:{business.port}/business"

    answer = failing(business.question(GUIDE["active-users"], url=url))

    assert answer.reason is Reason.TLS


def pretending(handler, business):
    """Ask somebody who is no PostgreSQL, or a bad one."""

    async def scenario():
        async with serving(handler) as port:
            url = f"postgresql://x@127.0.0.1:{port}/x?sslmode=disable"
            question = business.question(GUIDE["active-users"], url=url, timeout_s=0.5)
            return await asyncio.to_thread(ask, question, day(0), day(1))

    started = time.monotonic()
    answers = asyncio.run(scenario())
    assert time.monotonic() - started < 5
    return answers


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (hang, Reason.TIMEOUT),
        (saying(b""), Reason.CONNECTION),
        (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Reason.CONNECTION),
        (saying(b"R\0\0\0\x64", *[b"\0"] * 90, pause_s=0.05), Reason.TIMEOUT),
    ],
)
def test_a_server_that_hangs_drips_or_lies_is_given_up(business, handler, reason):
    first, second = pretending(handler, business)

    # Whoever hangs once isn't waited for again.
    assert first.reason is second.reason is reason
    assert first.is_temporary


def test_a_port_that_does_not_answer_times_out(business):
    with black_hole() as port:
        url = f"postgresql://x@127.0.0.1:{port}/x?sslmode=disable"
        answer = failing(
            business.question(GUIDE["active-users"], url=url, timeout_s=0.5)
        )

    assert answer.reason is Reason.TIMEOUT


def test_a_closed_port_is_a_failed_connection(business):
    url = f"postgresql://x@127.0.0.1:{free_port()}/x?sslmode=disable"

    answer = failing(business.question(GUIDE["active-users"], url=url))

    assert answer.reason is Reason.CONNECTION
    assert "127.0.0.1" not in answer.message + answer.detail


# Isolation between buckets.


def test_a_bucket_over_the_limit_spoils_no_other(business, unchecked):
    question = business.question(
        "SELECT CASE WHEN :start = '2026-03-03T00:00Z'"
        " THEN (SELECT 1 FROM pg_sleep(60)) ELSE 5 END",
        timeout_s=0.3,
    )

    first, second, third = ask(question, day(0), day(1), day(2))

    assert (first.value, third.value) == (5, 5)
    assert second.reason is Reason.TIMEOUT


def test_a_connection_cut_in_between_is_unknown_for_the_rest(business, unchecked):
    question = business.question("SELECT 1 FROM pg_sleep(0.4)", timeout_s=5)

    def cut():
        time.sleep(0.2)
        business.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 't4g-kpi'"
        )

    cutter = threading.Thread(target=cut)
    cutter.start()
    answers = ask(question, day(0), day(1))
    cutter.join()

    assert [answer.reason for answer in answers] == [Reason.CONNECTION] * 2


def test_a_reader_that_stops_early_leaves_no_connection(business):
    answers = registry.read(
        business.question(GUIDE["active-users"]), [day(0), day(1)], now=NOW
    )
    next(answers)
    answers.close()

    assert connections(business) == 0


def test_a_hundred_buckets_take_less_than_a_second(business):
    question = business.question(GUIDE["active-users"])
    started = time.monotonic()

    answers = ask(question, *(day(-count) for count in range(100)))

    assert all(isinstance(answer, Reading) for answer in answers)
    assert time.monotonic() - started < 1


def test_the_secret_is_in_no_repr_and_no_answer(business):
    question = replace(
        business.question("SELECT 1 WHERE :start < :end"), secret="wr0ng!"
    )

    answer = failing(question)

    assert "wr0ng!" not in repr(question) + answer.message + answer.detail
