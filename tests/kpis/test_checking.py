from __future__ import annotations

import asyncio
import contextlib
import io
from datetime import timedelta

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from kpis.models import DataSource, DataSourceState
from kpis.reading import Reason, UnableToRead
from kpis.sources import checking
from tests.kpis.business import READER, READER_PASSWORD, START, TABLES
from tests.kpis.test_forbidden_sql import world
from tests.kpis.test_source_http import GUIDE, answer_json
from tests.kpis.test_source_postgres import connections as connections_to
from tests.monitors.probing import free_port, saying, serving

pytestmark = pytest.mark.django_db(transaction=True)

NOW = START + timedelta(days=5)


def make_source(business=None, **values):
    if business is not None:
        values.setdefault("url", business.url)
        values.setdefault("secret", READER_PASSWORD)
    values = {
        "name": "Backend",
        "kind": "postgres",
        "timeout_s": 3,
        "allowed_tables": list(TABLES),
        "may_use_private_targets": True,
    } | values
    return DataSource.objects.create(**values)


@pytest.fixture
def mistaken(business):
    """Run SQL of a careless owner, and take it back afterwards."""
    undo = []

    def make(sql, back):
        undo.append(back)
        business.run(sql)

    yield make
    for back in reversed(undo):
        business.run(back)


def test_the_role_of_our_documentation_is_safe(business):
    source = make_source(business)

    check = checking.check_source(source=source, now=NOW)

    assert check == checking.Check()
    assert source.state.checked_at == NOW
    assert source.state.problem == ""


@pytest.mark.parametrize(
    ("sql", "back", "words"),
    [
        (
            f"GRANT INSERT ON user_activities TO {READER}",
            f"REVOKE INSERT ON user_activities FROM {READER}",
            "INSERT INTO public.user_activities",
        ),
        (
            f"GRANT DELETE ON user_activities TO {READER}",
            f"REVOKE DELETE ON user_activities FROM {READER}",
            "DELETE FROM public.user_activities",
        ),
        (
            f"GRANT UPDATE (user_id) ON user_activities TO {READER}",
            f"REVOKE UPDATE (user_id) ON user_activities FROM {READER}",
            "write to: public.user_activities",
        ),
        (
            f"GRANT TRUNCATE ON secrets TO {READER}",
            f"REVOKE TRUNCATE ON secrets FROM {READER}",
            "write to: public.secrets",
        ),
        (
            f"GRANT USAGE ON SEQUENCE numbers TO {READER}",
            f"REVOKE USAGE ON SEQUENCE numbers FROM {READER}",
            "write to: public.numbers",
        ),
        (
            f"ALTER TABLE secrets OWNER TO {READER}",
            "ALTER TABLE secrets OWNER TO watcher",
            "write to: public.secrets",
        ),
        (
            f"GRANT CREATE ON SCHEMA public TO {READER}",
            f"REVOKE CREATE ON SCHEMA public FROM {READER}",
            "create things in: public",
        ),
        (
            f"GRANT CREATE ON SCHEMA public TO {READER}",
            f"REVOKE CREATE ON SCHEMA public FROM {READER}",
            "allowed: CREATE TABLE",
        ),
        (
            f"GRANT CREATE ON DATABASE business TO {READER}",
            f"REVOKE CREATE ON DATABASE business FROM {READER}",
            "allowed: CREATE SCHEMA",
        ),
        (
            f"ALTER ROLE {READER} CREATEROLE",
            f"ALTER ROLE {READER} NOCREATEROLE",
            "allowed: CREATE ROLE",
        ),
        (
            f"ALTER ROLE {READER} CREATEDB",
            f"ALTER ROLE {READER} NOCREATEDB",
            "CREATEDB",
        ),
        (
            f"ALTER ROLE {READER} BYPASSRLS",
            f"ALTER ROLE {READER} NOBYPASSRLS",
            "BYPASSRLS",
        ),
        (
            f"GRANT pg_write_all_data TO {READER}",
            f"REVOKE pg_write_all_data FROM {READER}",
            "member of pg_write_all_data",
        ),
        (
            f"GRANT pg_execute_server_program TO {READER} WITH INHERIT TRUE",
            f"REVOKE pg_execute_server_program FROM {READER}",
            "allowed: COPY … TO PROGRAM",
        ),
        (
            f"GRANT pg_read_server_files TO {READER} WITH INHERIT TRUE;"
            f"GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {READER}",
            f"REVOKE pg_read_server_files FROM {READER};"
            f"REVOKE EXECUTE ON FUNCTION pg_read_file(text) FROM {READER}",
            "allowed: pg_read_file",
        ),
        (
            f"GRANT SELECT ON pg_authid TO {READER}",
            f"REVOKE SELECT ON pg_authid FROM {READER}",
            "allowed: pg_authid",
        ),
        (
            "CREATE FUNCTION dblink(text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "DROP FUNCTION dblink(text)",
            "may call: dblink",
        ),
        (
            f"ALTER ROLE {READER} SUPERUSER",
            f"ALTER ROLE {READER} NOSUPERUSER",
            "SUPERUSER",
        ),
        (
            f"GRANT watcher TO {READER}",
            f"REVOKE watcher FROM {READER}",
            "member of watcher",
        ),
    ],
)
def test_whatever_passes_makes_a_source_unsafe(business, mistaken, sql, back, words):
    mistaken(sql, back)
    before = world(business)
    source = make_source(business)

    check = checking.check_source(source=source, now=NOW)

    assert words in "\n".join(check.problems)
    assert source.state.problem == "\n".join(check.problems)
    with pytest.raises(UnableToRead) as caught:
        checking.demand_safe(source=source, now=NOW)
    assert caught.value.reason is Reason.UNSAFE_SOURCE
    assert words.split(": ")[-1] in caught.value.detail
    # Trying has changed nothing.
    assert world(business) == before
    assert connections_to(business) == 0


def test_the_owner_of_a_database_is_unsafe(business):
    source = make_source(
        business, url=business.url_of(business.owner), secret=business.owner_password
    )

    check = checking.check_source(source=source, now=NOW)

    told = "\n".join(check.problems)
    assert "SUPERUSER" in told
    assert "COPY … TO PROGRAM" in told
    assert "INSERT INTO public.user_activities" in told


@pytest.mark.parametrize(
    ("sql", "back", "words"),
    [
        (
            f"ALTER ROLE {READER} RESET default_transaction_read_only",
            f"ALTER ROLE {READER} SET default_transaction_read_only = on",
            "default_transaction_read_only",
        ),
        (
            f"ALTER ROLE {READER} RESET statement_timeout",
            f"ALTER ROLE {READER} SET statement_timeout = '30s'",
            "statement_timeout",
        ),
        (
            f"ALTER ROLE {READER} CONNECTION LIMIT -1",
            f"ALTER ROLE {READER} CONNECTION LIMIT 3",
            "CONNECTION LIMIT",
        ),
        (
            f"GRANT TEMPORARY ON DATABASE business TO {READER}",
            f"REVOKE TEMPORARY ON DATABASE business FROM {READER}",
            "TEMPORARY",
        ),
        (
            f"GRANT SELECT ON secrets TO {READER}",
            f"REVOKE SELECT ON secrets FROM {READER}",
            "can also read, unlisted: public.secrets",
        ),
    ],
)
def test_what_could_be_better_is_advice(business, mistaken, sql, back, words):
    mistaken(sql, back)

    check = checking.check_source(source=make_source(business), now=NOW)

    assert check.is_safe
    assert words in "\n".join(check.advice)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([], "List the tables"),
        ([*TABLES, "public.nowhere"], "can't read it: public.nowhere"),
        (["public.*"], ""),
        (["user_activities"], "unlisted: public.lightning_transactions"),
    ],
)
def test_the_list_of_tables_is_held_against_the_grants(business, tables, words):
    check = checking.check_source(
        source=make_source(business, allowed_tables=tables), now=NOW
    )

    assert check.is_safe
    assert words in "\n".join(check.advice)
    assert bool(words) == bool(check.advice)


def count_checks(monkeypatch):
    calls = []
    original = checking.check_source

    def counted(**values):
        calls.append(values["now"])
        return original(**values)

    monkeypatch.setattr(checking, "check_source", counted)
    return calls


def test_a_source_is_checked_before_it_is_asked_and_once_a_day(business, monkeypatch):
    calls = count_checks(monkeypatch)
    source = make_source(business)

    for now in (NOW, NOW + timedelta(hours=23), NOW + timedelta(hours=25)):
        checking.demand_safe(source=source, now=now)

    assert calls == [NOW, NOW + timedelta(hours=25)]


@pytest.mark.parametrize(
    "changes",
    [
        {"allowed_tables": ["public.user_activities"]},
        {"url": "{url}&x"},
        {"may_use_private_targets": False},
        {"secret": "another"},
    ],
)
def test_an_edit_asks_for_a_new_check(business, monkeypatch, changes):
    source = make_source(business)
    checking.demand_safe(source=source, now=NOW)
    calls = count_checks(monkeypatch)
    for name, value in changes.items():
        setattr(
            source,
            name,
            value.replace("{url}", source.url) if name == "url" else value,
        )
    source.save()

    # Where it leads now, nobody may let it in; but it was asked.
    with contextlib.suppress(UnableToRead):
        checking.demand_safe(source=source, now=NOW)

    assert calls == [NOW]


def test_an_edit_of_the_name_does_not(business, monkeypatch):
    source = make_source(business)
    checking.demand_safe(source=source, now=NOW)
    calls = count_checks(monkeypatch)
    source.name = "Other"
    source.save()

    checking.demand_safe(source=DataSource.objects.get(), now=NOW)

    assert calls == []


def test_a_source_that_does_not_answer_stays_what_it_was(business):
    source = make_source(business)
    checking.check_source(source=source, now=NOW)
    checked = DataSourceState.objects.get().checked_fingerprint
    url = f"postgresql://x@127.0.0.1:{free_port()}/x?sslmode=disable"
    source.url = url
    source.save()

    with pytest.raises(UnableToRead) as caught:
        checking.demand_safe(source=source, now=NOW)

    state = DataSourceState.objects.get()
    assert caught.value.reason is Reason.CONNECTION
    assert state.checked_fingerprint == checked
    assert state.last_error == "The connection was refused"


def test_the_fingerprint_gives_no_secret_away(business, settings):
    source = make_source(business)
    first = checking.fingerprint(source)
    settings.SECRET_KEY = "another key, with which a guess can't be tried"

    assert checking.fingerprint(source) != first
    assert READER_PASSWORD not in first


def test_a_json_source_shows_its_answer():
    def check(port):
        try:
            url = f"http://127.0.0.1:{port}/api/metrics/business"
            source = make_source(kind="http", url=url)
            return checking.check_source(source=source, now=NOW)
        finally:
            # A thread's connection would outlive the test.
            connections.close_all()

    async def scenario():
        async with serving(saying(answer_json(GUIDE))) as port:
            return await asyncio.to_thread(check, port)

    assert asyncio.run(scenario()).is_safe
    assert DataSourceState.objects.get().last_sample == GUIDE


@pytest.mark.parametrize("kind", ["portal", "manual", "http"])
def test_other_kinds_are_safe_to_ask(kind):
    source = make_source(kind=kind, url="https://kpi.example/x")

    checking.demand_safe(source=source, now=NOW)


def run_command(*names):
    out = io.StringIO()
    call_command("kpi_check_source", *names, stdout=out)
    return out.getvalue()


def test_the_command_says_what_is_safe(business):
    make_source(business)

    assert run_command("Backend") == "Backend: safe\n"
    assert run_command() == "Backend: safe\n"


def test_the_command_fails_for_what_is_not(business):
    make_source(
        business, url=business.url_of(business.owner), secret=business.owner_password
    )
    out = io.StringIO()

    with pytest.raises(CommandError):
        call_command("kpi_check_source", stdout=out)

    assert "Backend: NOT SAFE\n  ! The role is a SUPERUSER" in out.getvalue()


def test_the_command_tells_of_silence_and_of_unknown_names(business):
    make_source(
        business, url=f"postgresql://x@127.0.0.1:{free_port()}/x?sslmode=disable"
    )
    out = io.StringIO()

    with pytest.raises(CommandError):
        call_command("kpi_check_source", stdout=out)
    with pytest.raises(CommandError, match="no data source called 'Nobody'"):
        run_command("Nobody")

    assert out.getvalue() == "Backend: no answer. The connection was refused\n"


def test_a_secret_is_in_no_state_and_no_output(business):
    make_source(business, secret="wr0ng-wr0ng")
    out = io.StringIO()

    with pytest.raises(CommandError):
        call_command("kpi_check_source", stdout=out)

    state = DataSourceState.objects.get()
    assert "wr0ng" not in f"{out.getvalue()} {state.last_error} {state.problem}"


def test_a_pooled_server_that_keeps_a_setting_is_no_danger(business):
    # Role settings can be taken away by whoever logs in; the check doesn't rest on them.
    with psycopg.connect(
        business.url, password=READER_PASSWORD, autocommit=True
    ) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO user_activities VALUES (1, now())")
