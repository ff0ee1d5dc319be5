"""Trying what a role of somebody else's database must not be able to do. Pure.

A source is safe when its role can't harm even without any care of ours. So we look what
the catalog grants, and then try: each act in a transaction of its own that may write, with
short limits, on no rows at all, and rolled back. Whatever passes makes the source unsafe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from django.utils.translation import pgettext
from psycopg import sql

from kpis.sources.postgres import Session

LIMIT_MS = 2_000
# Acts for each of so many tables; the catalog is asked about all of them.
MAX_TABLES = 20
# A name that nobody uses; made and gone within one transaction that is rolled back.
_SCRATCH = sql.Identifier("t4g_kpi_check")
_FORBIDDEN_ROLES = (
    *("pg_read_server_files", "pg_write_server_files", "pg_execute_server_program"),
    *("pg_write_all_data", "pg_read_all_data", "pg_signal_backend", "pg_maintain"),
)
_OWN_SCHEMAS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

_ROLE = """
SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,
    rolconnlimit < 0 AS is_unlimited,
    current_setting('default_transaction_read_only') = 'on',
    current_setting('statement_timeout') <> '0'
  FROM pg_catalog.pg_roles WHERE rolname = current_user
"""
# What the role was given before we set anything ourselves.
_MEMBER = """
SELECT rolname FROM pg_catalog.pg_roles
 WHERE rolname <> current_user AND pg_has_role(oid, 'MEMBER')
   AND (rolsuper OR rolname = ANY(%s)) ORDER BY 1
"""
_WRITABLE = f"""
SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE {_OWN_SCHEMAS} AND CASE
    WHEN c.relkind IN ('r', 'p', 'v', 'm', 'f') THEN
        has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
        OR has_any_column_privilege(c.oid, 'INSERT, UPDATE')
        OR pg_has_role(c.relowner, 'USAGE')
    WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'USAGE, UPDATE')
    ELSE false END
 ORDER BY 1 LIMIT 6
"""  # noqa: S608 only constants go in
_CREATES_IN = f"""
SELECT n.nspname FROM pg_catalog.pg_namespace n
 WHERE {_OWN_SCHEMAS} AND has_schema_privilege(n.oid, 'CREATE') ORDER BY 1 LIMIT 6
"""  # noqa: S608 only constants go in
_DATABASE = """
SELECT has_database_privilege(current_database(), 'CREATE'),
    has_database_privilege(current_database(), 'TEMP')
"""
_ROADS_OUT = """
SELECT DISTINCT p.proname FROM pg_catalog.pg_proc p
 WHERE (p.proname ~ '^dblink' OR p.proname IN ('lo_export', 'lo_import', 'pg_read_file',
        'pg_read_binary_file', 'pg_ls_dir', 'pg_reload_conf', 'pg_file_write'))
   AND has_function_privilege(p.oid, 'EXECUTE')
UNION
SELECT lanname FROM pg_catalog.pg_language
 WHERE NOT lanpltrusted AND lanname NOT IN ('internal', 'c')
   AND has_language_privilege(oid, 'USAGE')
 ORDER BY 1 LIMIT 6
"""
_READABLE = f"""
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE {_OWN_SCHEMAS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND has_schema_privilege(n.oid, 'USAGE')
   AND has_any_column_privilege(c.oid, 'SELECT') ORDER BY 1, 2 LIMIT 1000
"""  # noqa: S608 only constants go in


@dataclass(frozen=True, slots=True)
class Findings:
    """What a role may do: `problems` make it unsafe, `advice` could be better.

    English sentences to be stored, one a line.
    """

    problems: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


async def examine(session: Session, *, allowed_tables: Sequence[str]) -> Findings:
    """Look and try. Raises UnableToRead when the source can't be asked."""
    problems: list[str] = []
    advice: list[str] = []
    await _look_at_role(session, problems, advice)
    await _look_at_grants(session, problems, advice)
    readable = [(schema, name) for schema, name in await _rows(session, _READABLE)]
    _compare(readable, allowed_tables, problems, advice)
    await _try(session, readable, allowed_tables, problems)
    return Findings(tuple(dict.fromkeys(problems)), tuple(dict.fromkeys(advice)))


async def _rows(
    session: Session, statement: str, *parameters: Any
) -> list[tuple[Any, ...]]:
    async def ask() -> list[tuple[Any, ...]]:
        connection = session.connection
        # Not `session.number`'s transaction: its settings would hide the role's own.
        await connection.execute("BEGIN READ ONLY")
        try:
            cursor = await connection.execute(statement, parameters or None)
            return [tuple(map(_text, row)) for row in await cursor.fetchall()]
        finally:
            if not connection.closed:
                await connection.execute("ROLLBACK")

    return await session.within(ask())


def _text(value: Any) -> Any:
    # What psycopg makes of text in a SQL_ASCII database.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


async def _look_at_role(
    session: Session, problems: list[str], advice: list[str]
) -> None:
    ((*powers, is_unlimited, is_read_only, has_limit),) = await _rows(session, _ROLE)
    for name, has_it in zip(
        ("SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS"),
        powers,
        strict=True,
    ):
        if has_it:
            problems.append(
                pgettext("stored", "The role is a %(name)s; make one without")
                % {"name": name}
            )
    for (name,) in await _rows(session, _MEMBER, list(_FORBIDDEN_ROLES)):
        problems.append(
            pgettext("stored", "The role is a member of %(name)s; take it out")
            % {"name": name}
        )
    if not is_read_only:
        advice.append(
            pgettext("stored", "Set default_transaction_read_only = on for the role")
        )
    if not has_limit:
        advice.append(pgettext("stored", "Set a statement_timeout for the role"))
    if is_unlimited:
        advice.append(pgettext("stored", "Set a CONNECTION LIMIT for the role"))


async def _look_at_grants(
    session: Session, problems: list[str], advice: list[str]
) -> None:
    for statement, message in (
        (_WRITABLE, pgettext("stored", "The role may write to: %(names)s")),
        (_CREATES_IN, pgettext("stored", "The role may create things in: %(names)s")),
        (_ROADS_OUT, pgettext("stored", "The role may call: %(names)s")),
    ):
        names = [str(name) for (name,) in await _rows(session, statement)]
        if names:
            problems.append(message % {"names": _listed(names)})
    ((may_create, may_use_temporary),) = await _rows(session, _DATABASE)
    if may_create:
        problems.append(pgettext("stored", "The role may create schemas"))
    if may_use_temporary:
        advice.append(
            pgettext("stored", "Revoke TEMPORARY on the database from PUBLIC")
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _compare(
    readable: Sequence[tuple[str, str]],
    allowed_tables: Sequence[str],
    problems: list[str],
    advice: list[str],
) -> None:
    """Hold what the role can read against what the source lists."""
    if not allowed_tables:
        advice.append(pgettext("stored", "List the tables that KPIs may read"))
    names = {f"{schema}.{name}" for schema, name in readable}
    bare = {name for _schema, name in readable}
    schemas = {f"{schema}.*" for schema, _name in readable}
    missing = [one for one in allowed_tables if one not in names | bare | schemas]
    if missing:
        advice.append(
            pgettext("stored", "Listed, but the role can't read it: %(names)s")
            % {"names": _listed(missing)}
        )
    surplus = [
        f"{schema}.{name}"
        for schema, name in readable
        if not {f"{schema}.{name}", name, f"{schema}.*"} & set(allowed_tables)
    ]
    if surplus and allowed_tables:
        advice.append(
            pgettext("stored", "The role can also read, unlisted: %(names)s")
            % {"names": _listed(surplus)}
        )


async def _try(
    session: Session,
    readable: Sequence[tuple[str, str]],
    allowed_tables: Sequence[str],
    problems: list[str],
) -> None:
    acts: list[tuple[str, sql.Composable]] = [
        ("CREATE TABLE", sql.SQL("CREATE TABLE {} ()").format(_SCRATCH)),
        ("CREATE SCHEMA", sql.SQL("CREATE SCHEMA {}").format(_SCRATCH)),
        ("CREATE ROLE", sql.SQL("CREATE ROLE {}").format(_SCRATCH)),
        ("COPY … TO PROGRAM", sql.SQL("COPY (SELECT 1) TO PROGRAM 'cat > /dev/null'")),
        ("pg_read_file", sql.SQL("SELECT pg_read_file('PG_VERSION')")),
        ("pg_authid", sql.SQL("SELECT 1 FROM pg_catalog.pg_authid LIMIT 1")),
    ]
    listed = {one.rpartition(".")[2] for one in allowed_tables}
    mine = [one for one in readable if one[1] in listed or "*" in listed]
    for schema, name in mine[:MAX_TABLES]:
        table = sql.Identifier(schema, name)
        acts += [
            # No row is touched; the right to touch one is all that is asked for.
            (
                f"INSERT INTO {schema}.{name}",
                sql.SQL("INSERT INTO {0} SELECT * FROM {0} WHERE false").format(table),
            ),
            (
                f"DELETE FROM {schema}.{name}",  # noqa: S608 only shown
                sql.SQL("DELETE FROM {} WHERE false").format(table),
            ),
        ]
    for label, act in acts:
        if await session.within(_passes(session.connection, act)):
            problems.append(
                pgettext("stored", "Tried, and it was allowed: %(act)s")
                % {"act": label}
            )


async def _passes(connection: psycopg.AsyncConnection[Any], act: Any) -> bool:
    """Try an act where the role's own defaults are lifted; nothing of it stays."""
    await connection.execute(
        "BEGIN READ WRITE;"
        f" SET LOCAL statement_timeout = {LIMIT_MS}; SET LOCAL lock_timeout = 500;"
        " SET LOCAL client_min_messages = 'error'"
    )
    try:
        await connection.execute(act)
    except psycopg.OperationalError:
        if connection.closed:
            raise
        return False
    except psycopg.Error:
        return False
    else:
        return True
    finally:
        if not connection.closed:
            await connection.execute("ROLLBACK")
