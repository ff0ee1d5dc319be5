"""Every forbidden act, one by one, twice: at the check on saving, and, with that check
taken away, against a real PostgreSQL. The role has a write grant by mistake."""

from __future__ import annotations

import contextlib
import re
import resource
import time
from dataclasses import dataclass
from datetime import timedelta

import psycopg
import pytest

from kpis.reading import Reading, Reason, UnableToRead
from kpis.sources import postgres, sql_rules
from tests.kpis.asking import answers, only_answer
from tests.kpis.business import GUIDE, READER, START, TABLES, day
from tests.kpis.test_source_postgres import connections

NOW = START + timedelta(days=5)
# The connection's deadline behind the server's, short so that the tests are.
GRACE_S = 0.7


@pytest.fixture(scope="module")
def careless(business):
    """The owner has given the reader what it mustn't have."""
    business.run(
        f"GRANT INSERT, UPDATE, DELETE ON user_activities TO {READER};"
        f"GRANT USAGE ON SEQUENCE numbers TO {READER};"
        f"GRANT CREATE ON SCHEMA public TO {READER};"
        f"GRANT TEMPORARY ON DATABASE business TO {READER}"
    )
    yield business
    business.run(
        f"REVOKE INSERT, UPDATE, DELETE ON user_activities FROM {READER};"
        f"REVOKE USAGE ON SEQUENCE numbers FROM {READER};"
        f"REVOKE CREATE ON SCHEMA public FROM {READER};"
        f"REVOKE TEMPORARY ON DATABASE business FROM {READER}"
    )


@pytest.fixture
def unchecked(monkeypatch):
    """Without the static check: what is typed is what runs."""
    monkeypatch.setattr(
        postgres, "_statement", lambda question: sql_rules.bound(question.sql)
    )
    monkeypatch.setattr(postgres, "GRACE_S", GRACE_S)
    monkeypatch.setattr(postgres, "STOPPING_S", GRACE_S)


@dataclass(frozen=True)
class World:
    """All that an act could have changed, as the owner sees it."""

    rows: tuple[int, ...]
    relations: tuple[str, ...]
    sequence: int
    role: str
    server: str
    locks: int


def world(business):
    counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in TABLES)
    return World(
        rows=tuple(business.value(f"SELECT ARRAY[{counts}]")),
        relations=tuple(
            business.value(
                "SELECT array_agg(nspname || '.' || relname ORDER BY 1) FROM pg_class"
                " JOIN pg_namespace n ON n.oid = relnamespace"
                " WHERE nspname NOT LIKE 'pg_%' AND nspname <> 'information_schema'"
            )
        ),
        sequence=business.value("SELECT last_value FROM numbers"),
        role=business.value(
            f"SELECT rolsuper::text || rolconfig::text FROM pg_roles"
            f" WHERE rolname = '{READER}'"
        ),
        server=business.value(
            "SELECT string_agg(name || setting, ',' ORDER BY name) FROM pg_settings"
            " WHERE source = 'configuration file'"
        ),
        locks=business.value(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        ),
    )


@dataclass(frozen=True)
class Act:
    """One forbidden act: why the check refuses it, and what stops it without one.

    `stopped`: any of these; empty: it may run, and does nothing that outlives it.
    """

    name: str
    sql: str
    refused: str
    stopped: Reason | tuple[Reason, ...] | None


INSERT = "INSERT INTO user_activities VALUES (1, now())"
# The planner computes it first; how far it comes in half a second is the machine's affair.
REFUSED_OR_CUT = (Reason.NOT_A_NUMBER, Reason.TIMEOUT)
# Some builds of the server have no XML at all.
WITHOUT_XML = (Reason.PERMISSION, Reason.REFUSED_SQL)
# fmt: off
ACTS = (
    # Writing.
    Act("insert", INSERT, "not_select", Reason.REFUSED_SQL),
    Act("insert returning", f"{INSERT} RETURNING 1", "not_select", Reason.REFUSED_SQL),
    Act("update", "UPDATE user_activities SET user_id = 9", "not_select", Reason.REFUSED_SQL),
    Act("delete", "DELETE FROM user_activities", "not_select", Reason.REFUSED_SQL),
    Act("delete returning", "DELETE FROM user_activities RETURNING 1", "not_select", Reason.REFUSED_SQL),
    Act("merge", "MERGE INTO user_activities u USING (SELECT 1 AS a) s ON u.user_id = s.a WHEN MATCHED THEN DELETE", "not_select", Reason.REFUSED_SQL),
    Act("truncate", "TRUNCATE user_activities", "not_select", Reason.REFUSED_SQL),
    Act("cte that inserts", f"WITH i AS ({INSERT} RETURNING user_id) SELECT count(*) FROM i", "part", Reason.REFUSED_SQL),
    Act("cte that deletes", "WITH d AS (DELETE FROM user_activities RETURNING 1) SELECT count(*) FROM d", "part", Reason.REFUSED_SQL),
    Act("select into", "SELECT 1 AS a INTO stolen", "part", Reason.REFUSED_SQL),
    Act("select into temporary", "SELECT 1 AS a INTO TEMPORARY stolen", "part", Reason.REFUSED_SQL),
    Act("create table", "CREATE TABLE stolen (a int)", "not_select", Reason.REFUSED_SQL),
    Act("create table as", "CREATE TABLE stolen AS SELECT 1", "not_select", Reason.REFUSED_SQL),
    Act("create function", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "not_select", Reason.REFUSED_SQL),
    Act("drop", "DROP TABLE user_activities", "not_select", Reason.REFUSED_SQL),
    Act("alter role", f"ALTER ROLE {READER} RESET ALL", "not_select", Reason.REFUSED_SQL),
    Act("grant", f"GRANT ALL ON user_activities TO {READER}", "not_select", Reason.REFUSED_SQL),
    Act("comment on", "COMMENT ON TABLE user_activities IS 'x'", "not_select", Reason.REFUSED_SQL),
    Act("do", f"DO $$ BEGIN {INSERT}; END $$", "not_select", Reason.REFUSED_SQL),
    Act("do in other quotes", f"DO '{INSERT.replace(chr(39), chr(39) * 2)}'", "not_select", Reason.REFUSED_SQL),
    Act("call", "CALL note_visit()", "not_select", Reason.REFUSED_SQL),
    Act("function that writes", "SELECT note_visit()", "function", Reason.REFUSED_SQL),
    Act("function that writes, as a column", "SELECT (note_visit())::int", "function", Reason.REFUSED_SQL),
    Act("function that writes, in from", "SELECT a FROM note_visit() AS n(a)", "table_function", Reason.REFUSED_SQL),
    Act("nextval", "SELECT nextval('numbers')", "function", Reason.REFUSED_SQL),
    Act("setval", "SELECT setval('numbers', 99)", "function", Reason.PERMISSION),
    Act("large object", "SELECT lo_create(0)::int", "function", Reason.REFUSED_SQL),
    Act("large object from text", "SELECT lo_from_bytea(0, 'x')::int", "function", Reason.REFUSED_SQL),
    Act("explain analyze", f"EXPLAIN ANALYZE {INSERT}", "not_select", Reason.REFUSED_SQL),
    # Several statements.
    Act("two selects", "SELECT 1; SELECT 2", "statements", Reason.REFUSED_SQL),
    Act("begin read write", f"BEGIN READ WRITE; {INSERT}; COMMIT", "statements", Reason.REFUSED_SQL),
    Act("commit, then insert", f"SELECT 1; COMMIT; {INSERT}", "statements", Reason.REFUSED_SQL),
    Act("commit alone", "COMMIT", "not_select", Reason.REFUSED_SQL),
    Act("rollback alone", "ROLLBACK", "not_select", Reason.REFUSED_SQL),
    Act("out of the cursor", f"SELECT 1) ; {INSERT}; --", "syntax", Reason.REFUSED_SQL),
    Act("hidden in a comment", f"SELECT 1 /* a; */ ; {INSERT}", "statements", Reason.REFUSED_SQL),
    Act("prepare", f"PREPARE p AS {INSERT}", "not_select", Reason.REFUSED_SQL),
    Act("execute", "EXECUTE p", "not_select", Reason.REFUSED_SQL),
    Act("declare", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "not_select", Reason.REFUSED_SQL),
    # Files and programs.
    Act("copy to a program", "COPY (SELECT 1) TO PROGRAM 'touch /tmp/t4g-owned'", "not_select", Reason.REFUSED_SQL),
    Act("copy to a file", "COPY user_activities TO '/tmp/t4g-owned'", "not_select", Reason.REFUSED_SQL),
    Act("copy to us", "COPY user_activities TO STDOUT", "not_select", Reason.REFUSED_SQL),
    Act("copy from us", "COPY user_activities FROM STDIN", "not_select", Reason.REFUSED_SQL),
    Act("pg_read_file", "SELECT length(pg_read_file('postgresql.conf'))", "function", Reason.PERMISSION),
    Act("pg_ls_dir", "SELECT count(*) FROM pg_ls_dir('.')", "table_function", Reason.PERMISSION),
    Act("lo_export", "SELECT lo_export(1, '/tmp/t4g-owned')", "function", Reason.PERMISSION),
    Act("lo_import", "SELECT lo_import('/etc/passwd')::int", "function", Reason.PERMISSION),
    Act("load", "LOAD 'auto_explain'", "not_select", Reason.REFUSED_SQL),
    # Sleeping.
    Act("pg_sleep", "SELECT 1 FROM pg_sleep(60)", "table_function", Reason.TIMEOUT),
    Act("pg_sleep, with its schema", "SELECT 1 FROM (SELECT pg_catalog.pg_sleep(60)) s", "function", Reason.TIMEOUT),
    Act("pg_sleep, quoted", 'SELECT 1 FROM (SELECT "pg_sleep"(60)) s', "function", Reason.TIMEOUT),
    Act("pg_sleep_for", "SELECT 1 FROM pg_sleep_for('1 minute')", "table_function", Reason.TIMEOUT),
    Act("pg_sleep_until", "SELECT 1 FROM pg_sleep_until(now() + interval '1 minute')", "table_function", Reason.TIMEOUT),
    Act("limit lifted inside", "SELECT length(set_config('statement_timeout', '0', true)) + (SELECT 1 FROM pg_sleep(60))", "function", Reason.TIMEOUT),
    Act("limit lifted for the session", "SELECT length(set_config('statement_timeout', '0', false)) + (SELECT 1 FROM pg_sleep(60))", "function", Reason.TIMEOUT),
    Act("function that won't die", "SELECT stubborn()", "function", Reason.TIMEOUT),
    # Floods.
    Act("repeat", "SELECT repeat('a', 1000000000)", "function", REFUSED_OR_CUT),
    Act("text that grows", "SELECT lpad('a', 100000000)", "function", REFUSED_OR_CUT),
    Act("string_agg", "SELECT string_agg(repeat('a', 1000000), '') FROM generate_series(1, 900)", "function", Reason.NOT_A_NUMBER),
    Act("a thousand columns", f"SELECT {', '.join(['1'] * 1200)}", "unbound", Reason.TOO_MANY_COLUMNS),
    Act("rows without end", "SELECT generate_series(1, 1000000000)", "function", Reason.TOO_MANY_ROWS),
    Act("rows without end, in from", "SELECT a FROM generate_series(1, 1000000000) AS g(a)", "table_function", Reason.TIMEOUT),
    Act("rows without end, counted", "SELECT count(*) FROM generate_series(1, 100000000000)", "table_function", Reason.TIMEOUT),
    Act("rows without end, sorted", "SELECT a FROM generate_series(1, 1000000000) AS g(a) ORDER BY a DESC", "table_function", Reason.TIMEOUT),
    Act("recursion without end", "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a FROM r) SELECT count(*) FROM r", "recursive", Reason.TIMEOUT),
    Act("everything with everything", f"SELECT count(*) FROM {', '.join(f'user_activities u{n}' for n in range(9))}", "unbound", Reason.TIMEOUT),
    # Locks.
    Act("for update", "SELECT user_id FROM user_activities FOR UPDATE", "part", Reason.REFUSED_SQL),
    Act("for share", "SELECT user_id FROM user_activities FOR SHARE", "part", Reason.REFUSED_SQL),
    Act("for key share, inside", "SELECT count(*) FROM (SELECT user_id FROM user_activities FOR KEY SHARE) s", "part", Reason.REFUSED_SQL),
    Act("lock table", "LOCK TABLE user_activities", "not_select", Reason.REFUSED_SQL),
    Act("advisory lock", "SELECT count(*) FROM (SELECT pg_advisory_lock(1)) s", "function", None),
    Act("advisory lock, tried", "SELECT pg_try_advisory_lock(1)::int", "function", None),
    Act("advisory lock of the transaction", "SELECT count(*) FROM (SELECT pg_advisory_xact_lock(1)) s", "function", None),
    # Settings.
    Act("set", "SET statement_timeout = 0", "not_select", Reason.REFUSED_SQL),
    Act("set transaction", "SET TRANSACTION READ WRITE", "not_select", Reason.REFUSED_SQL),
    Act("set role", "SET ROLE watcher", "not_select", Reason.REFUSED_SQL),
    Act("reset", "RESET ALL", "not_select", Reason.REFUSED_SQL),
    Act("discard", "DISCARD ALL", "not_select", Reason.REFUSED_SQL),
    Act("set_config", "SELECT set_config('default_transaction_read_only', 'off', false)", "function", Reason.NOT_A_NUMBER),
    Act("set_config, measured", "SELECT length(set_config('default_transaction_read_only', 'off', false))", "function", None),
    Act("set_config of this transaction", "SELECT length(set_config('transaction_read_only', 'off', true))", "function", Reason.REFUSED_SQL),
    Act("set_config, then write", "SELECT length(set_config('transaction_read_only', 'off', true)) + note_visit()", "function", Reason.REFUSED_SQL),
    Act("set_config of the role", "SELECT length(set_config('role', 'watcher', false))", "function", Reason.PERMISSION),
    Act("alter system", "ALTER SYSTEM SET work_mem = '1GB'", "not_select", Reason.REFUSED_SQL),
    Act("reload", "SELECT pg_reload_conf()::int", "function", Reason.PERMISSION),
    # Reading what it must not.
    Act("another table", "SELECT count(*) FROM secrets WHERE :start < :end", "table", Reason.PERMISSION),
    Act("another table, in a subquery", "SELECT (SELECT count(*) FROM secrets) FROM user_activities WHERE created_at < :end", "table", Reason.PERMISSION),
    Act("another table, behind a name", "WITH secrets AS (SELECT * FROM secrets) SELECT count(*) FROM secrets WHERE :start < :end", "table", Reason.PERMISSION),
    Act("another table, by its word", "TABLE secrets", "table", Reason.PERMISSION),
    Act("passwords", "SELECT count(rolpassword) FROM pg_authid WHERE :start < :end", "table", Reason.PERMISSION),
    Act("passwords, with the schema", "SELECT count(*) FROM pg_catalog.pg_authid WHERE :start < :end", "table", Reason.PERMISSION),
    Act("passwords, shadowed", "SELECT count(*) FROM pg_shadow WHERE :start < :end", "table", Reason.PERMISSION),
    Act("another database", "SELECT count(*) FROM other.public.user_activities WHERE :start < :end", "table", Reason.REFUSED_SQL),
    Act("query_to_xml", "SELECT length(query_to_xml('SELECT * FROM secrets', true, false, '')::text)", "function", Reason.PERMISSION),
    Act("table_to_xml", "SELECT length(table_to_xml('secrets', true, false, '')::text)", "function", WITHOUT_XML),
    Act("query_to_xml that writes", f"SELECT length(query_to_xml('{INSERT}', true, false, '')::text)", "function", Reason.REFUSED_SQL),
    Act("dblink", "SELECT count(*) FROM dblink('dbname=postgres', 'SELECT 1') AS d(a int)", "table_function", Reason.REFUSED_SQL),
    Act("dblink_exec", f"SELECT length(dblink_exec('dbname=business', '{INSERT}'))", "function", Reason.REFUSED_SQL),
    Act("settings", "SELECT current_setting('data_directory')", "function", Reason.NOT_A_NUMBER),
    Act("version", "SELECT version()", "function", Reason.NOT_A_NUMBER),
    Act("who we are", "SELECT current_user", "function", Reason.NOT_A_NUMBER),
    Act("address of the server", "SELECT inet_server_addr()", "function", Reason.NOT_A_NUMBER),
    # Others' sessions.
    Act("terminate others", "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'watcher' AND :start < :end", "function", Reason.PERMISSION),
    Act("cancel others", "SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_activity WHERE usename = 'watcher' AND :start < :end", "function", Reason.PERMISSION),
    Act("notify", "NOTIFY x", "not_select", Reason.REFUSED_SQL),
    Act("notify, as a function", "SELECT count(*) FROM (SELECT pg_notify('x', 'y')) s", "function", None),
    Act("listen", "LISTEN x", "not_select", Reason.REFUSED_SQL),
    Act("checkpoint", "CHECKPOINT", "not_select", Reason.REFUSED_SQL),
    Act("vacuum", "VACUUM", "not_select", Reason.REFUSED_SQL),
)
# fmt: on
ONE_BY_ONE = pytest.mark.parametrize("act", ACTS, ids=[act.name for act in ACTS])


def test_no_act_is_listed_twice():
    assert (
        len({act.name for act in ACTS}) == len({act.sql for act in ACTS}) == len(ACTS)
    )


@ONE_BY_ONE
def test_the_check_refuses(act):
    found = sql_rules.problems(act.sql, allowed_tables=TABLES)

    assert act.refused in {one.code for one in found}, found


@ONE_BY_ONE
def test_a_question_that_the_check_refuses_never_reaches_the_database(act, business):
    answer = only_answer(
        # Nobody listens there.
        business.question(act.sql, url="postgresql://x@127.0.0.1:1/x?sslmode=disable"),
        now=NOW,
    )

    assert answer.reason is Reason.REFUSED_SQL


@ONE_BY_ONE
def test_without_the_check_the_database_stops_it(act, careless, unchecked):
    before = world(careless)
    expected = act.stopped if isinstance(act.stopped, tuple) else (act.stopped,)
    # What is refused is refused at once, however slow the machine is.
    timeout_s = 0.3 if Reason.TIMEOUT in expected else 3
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        # Somebody for "terminate others".
        stack.enter_context(careless.connected())
        question = careless.question(act.sql, timeout_s=timeout_s)
        found = answers(question, day(0), day(1), now=NOW)

    assert len(found) == 2
    for answer in found:
        if act.stopped is None:
            assert isinstance(answer, Reading), answer
        else:
            assert isinstance(answer, UnableToRead), answer
            assert answer.reason in expected, f"{answer.message} {answer.detail}"
    # Cut in time, whatever it is.
    assert time.monotonic() - started < 8
    # Nothing of it stays: no row, no lock, no setting, no process on the server.
    assert connections(careless) == 0
    assert world(careless) == before


def test_after_every_act_the_portal_still_reads(careless, unchecked):
    # One after the other over the same connection where it survives.
    acts = [act for act in ACTS if act.stopped is None]

    for act in acts:
        answers(careless.question(act.sql), now=NOW)
        answer = only_answer(
            careless.question(GUIDE["lightning-transactions"]), now=NOW
        )
        assert answer.value == 12


def test_a_setting_changed_in_one_question_is_back_in_the_next(careless, unchecked):
    question = careless.question(
        "SELECT CASE WHEN :start < '2026-03-03T00:00Z'"
        " THEN length(set_config('statement_timeout', '0', false))"
        " ELSE (SELECT 1 FROM pg_sleep(60)) END",
        timeout_s=0.5,
    )

    first, second = answers(question, day(0), day(1), now=NOW)

    assert isinstance(first, Reading)
    assert second.reason is Reason.TIMEOUT


def test_a_lock_taken_in_one_question_is_gone_in_the_next(careless, unchecked):
    question = careless.question(
        "SELECT count(*) + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
        " FROM (SELECT pg_advisory_lock(1) WHERE :start < '2026-03-03T00:00Z') s"
    )

    _locked, free = answers(question, day(0), day(1), now=NOW)

    assert free.value == 0


def test_a_table_locked_by_others_is_given_up_soon(business):
    with business.connected() as connection, connection.transaction():
        connection.execute("LOCK TABLE user_activities")
        started = time.monotonic()
        answer = only_answer(
            business.question(GUIDE["active-users"], timeout_s=10), now=NOW
        )

    assert answer.reason is Reason.TIMEOUT
    assert time.monotonic() - started < 3


def test_a_question_that_outlives_the_servers_limit_is_cut_by_ours(business, unchecked):
    started = time.monotonic()

    first, second = answers(
        business.question("SELECT stubborn()", timeout_s=0.5), day(0), day(1), now=NOW
    )

    assert first.reason is second.reason is Reason.TIMEOUT
    assert time.monotonic() - started < 0.5 + 2 * GRACE_S + 1
    # The server notices that nobody listens any more.
    assert connections(business) == 0


def test_a_superuser_would_be_stopped_as_well(business, unchecked):
    # The last layer alone: even an all-powerful role writes nothing through it.
    question = business.question(
        "SELECT note_visit()",
        url=business.url_of(business.owner),
        secret=business.owner_password,
    )
    before = world(business)

    answer = only_answer(question, now=NOW)

    assert answer.reason is Reason.REFUSED_SQL
    assert world(business) == before


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('x', 200000000)::int",
        "SELECT count(*) FROM user_activities WHERE repeat('x', 200000000)::date < now()",
    ],
)
def test_an_error_as_long_as_a_book_is_cut(business, unchecked, sql):
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    answer = only_answer(business.question(sql, timeout_s=10), now=NOW)

    assert answer.reason is Reason.TOO_BIG
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_kb
    assert grown_kb < 30 * 1024
    assert connections(business) == 0


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN READ WRITE; INSERT INTO user_activities VALUES (1, now()); COMMIT",
        "SELECT set_config('default_transaction_read_only', 'off', false)",
    ],
)
def test_an_ordinary_cursor_would_have_let_it_through(careless, sql):
    """Why we don't use one: the facts that this design rests on still hold."""
    rows = careless.value("SELECT count(*) FROM user_activities")
    with psycopg.connect(
        careless.url_of(READER), password="reader's horse", autocommit=True
    ) as connection:
        connection.execute(sql)
        read_only = connection.execute("SHOW default_transaction_read_only").fetchone()

    wrote = careless.value("SELECT count(*) FROM user_activities") > rows
    careless.run("DELETE FROM user_activities WHERE created_at > '2026-06-01'")
    # Bytes: the database of the tests has no encoding.
    assert wrote or read_only == (b"off",)


def test_the_check_takes_what_kpis_are_made_of():
    for sql in GUIDE.values():
        assert sql_rules.problems(sql, allowed_tables=TABLES) == ()


def test_the_marks_of_this_file_read_well():
    assert not [act.name for act in ACTS if re.search(r"\s{2,}", act.sql)]
