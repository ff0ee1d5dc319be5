"""A business database as the guide has it, in a real PostgreSQL, and its readers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from kpis.reading import Question

TABLES = (
    "public.user_activities",
    "public.lightning_transactions",
    "public.mentoring_sessions",
    "public.token_transactions",
)
START = datetime(2026, 3, 2, tzinfo=UTC)
GUIDE = {
    "active-users": (
        "SELECT COUNT(DISTINCT user_id) FROM user_activities"
        " WHERE created_at >= :start AND created_at < :end"
    ),
    "lightning-transactions": (
        "SELECT COUNT(*) FROM lightning_transactions"
        " WHERE created_at >= :start AND created_at < :end"
    ),
    "mentoring-sessions": (
        "SELECT COUNT(*) FROM mentoring_sessions"
        " WHERE created_at >= :start AND created_at < :end AND status = 'completed'"
    ),
    "tokens-distributed": (
        "SELECT COALESCE(SUM(tokens_earned), 0) FROM token_transactions"
        " WHERE created_at >= :start AND created_at < :end"
    ),
}
# As docs/operations.md tells an owner to make the role.
READER = "t4g_kpi"
READER_PASSWORD = "reader's horse"
ROLE_SQL = f"""
CREATE ROLE {READER} LOGIN PASSWORD '{READER_PASSWORD.replace("'", "''")}'
    NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT CONNECTION LIMIT 3;
ALTER ROLE {READER} SET default_transaction_read_only = on;
ALTER ROLE {READER} SET statement_timeout = '30s';
ALTER ROLE {READER} SET lock_timeout = '2s';
ALTER ROLE {READER} SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE {READER} SET temp_file_limit = '256MB';
ALTER ROLE {READER} SET work_mem = '16MB';
"""
SCHEMA_SQL = """
CREATE TABLE user_activities (user_id int, created_at timestamptz NOT NULL);
CREATE TABLE lightning_transactions (id serial, created_at timestamptz NOT NULL);
CREATE TABLE mentoring_sessions (
    id serial, status text NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE token_transactions (
    id serial, tokens_earned numeric, created_at timestamptz NOT NULL);
CREATE TABLE secrets (word text);
INSERT INTO secrets VALUES ('hidden');
CREATE SEQUENCE numbers;
-- What an application may well have: a function that writes, and one that won't die.
CREATE FUNCTION note_visit() RETURNS int LANGUAGE plpgsql AS $$
BEGIN INSERT INTO user_activities VALUES (0, now()); RETURN 1; END $$;
CREATE FUNCTION stubborn() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('statement_timeout', '0', false);
    LOOP
        BEGIN PERFORM pg_sleep(60);
        EXCEPTION WHEN query_canceled THEN NULL; END;
    END LOOP;
END $$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE TEMPORARY ON DATABASE business FROM PUBLIC;
"""


@dataclass(frozen=True)
class Span:
    """A bucket, as the sources read it."""

    start: datetime
    end: datetime
    looks_from: datetime


def day(count: int = 0, *, window: int = 1) -> Span:
    """The `count`-th day of March 2026 after the 2nd, in UTC."""
    start = START + timedelta(days=count)
    return Span(
        start=start,
        end=start + timedelta(days=1),
        looks_from=start - timedelta(days=window - 1),
    )


@dataclass
class Business:
    """The database, seen by its owner, and how the portal's reader gets there."""

    port: int
    owner: str
    owner_password: str
    name: str = "business"

    @property
    def url(self) -> str:
        """What a data source holds as its address."""
        return self.url_of(READER)

    def url_of(self, role: str) -> str:
        return f"postgresql://{role}@127.0.0.1:{self.port}/{self.name}?sslmode=disable"

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        """The owner's own connection."""
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.owner,
            password=self.owner_password,
            dbname=self.name,
            autocommit=True,
        ) as connection:
            yield connection

    def run(self, sql: str, *parameters: Any) -> None:
        with self.connected() as connection:
            connection.execute(sql, parameters or None)

    def value(self, sql: str) -> Any:
        with self.connected() as connection:
            row = connection.execute(sql).fetchone()
            assert row is not None
            return row[0]

    def question(self, sql: str, **changes: Any) -> Question:
        """A question of the reader's."""
        values: dict[str, Any] = {
            "kind": "postgres",
            "url": self.url,
            "secret": READER_PASSWORD,
            "timeout_s": 1.0,
            "allowed_tables": TABLES,
            "may_use_private_targets": True,
            "sql": sql,
            "time_zone": "Europe/Paris",
        }
        return Question(**(values | changes))


def _first_connection(
    port: int, owner: str, owner_password: str
) -> psycopg.Connection[Any]:
    """Connect to a server that has just opened its port, and may be starting still."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return psycopg.connect(
                host="127.0.0.1",
                port=port,
                user=owner,
                password=owner_password,
                dbname="postgres",
                autocommit=True,
            )
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def make_business(*, port: int, owner: str, owner_password: str) -> Business:
    """Make the database with the guide's four tables, a few rows and the reader."""
    business = Business(port=port, owner=owner, owner_password=owner_password)
    with _first_connection(port, owner, owner_password) as connection:
        connection.execute("CREATE DATABASE business")
    business.run(SCHEMA_SQL)
    business.run(ROLE_SQL)
    business.run(
        f"GRANT CONNECT ON DATABASE business TO {READER};"
        f"GRANT USAGE ON SCHEMA public TO {READER};"
        f"GRANT SELECT ON {', '.join(TABLES)} TO {READER}"
    )
    with business.connected() as connection, connection.cursor() as cursor:
        hours = [START + timedelta(hours=2 * step) for step in range(-84, 84)]
        for table, columns, rows in (
            (
                "user_activities",
                "user_id, created_at",
                [(n % 7, at) for n, at in enumerate(hours)],
            ),
            ("lightning_transactions", "created_at", [(at,) for at in hours]),
            (
                "mentoring_sessions",
                "status, created_at",
                [
                    ("completed" if n % 3 else "booked", at)
                    for n, at in enumerate(hours)
                ],
            ),
            (
                "token_transactions",
                "tokens_earned, created_at",
                [("1.25", at) for at in hours],
            ),
        ):
            marks = ", ".join(["%s"] * len(rows[0]))
            cursor.executemany(
                f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows
            )
    return business
