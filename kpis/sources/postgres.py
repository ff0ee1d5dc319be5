"""Figures from somebody else's PostgreSQL: SQL that people wrote, run so that it can't harm.

What holds, from outside to inside (docs/security.md): the database's own role; one fresh
connection, on checked addresses, with verified TLS; for every single question a read-only
transaction of its own with limits that the server keeps, in it a named cursor, which
takes one SELECT and nothing else; the look at the result's type before any row is
fetched, so that no text ever reaches us; a gate that counts what comes back; a deadline
of our own, after which the server is told to stop; ROLLBACK and DISCARD ALL whatever happened. The check of the SQL itself
(`kpis.sources.sql_rules`) comes first, and nothing here leans on it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Generator, Sequence
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from django.utils.translation import pgettext

from kpis.reading import Question, Reading, Reason, Span, UnableToRead, number_of
from kpis.sources import sql_rules
from kpis.sources.addresses import DatabaseAddress, parse_database
from monitors.probes import failures
from monitors.probes.texts import one_line
from t4g_portal.lib.egress import (
    BlockedAddress,
    UnableToResolve,
    check_address,
    libpq,
    resolve_blocking,
)
from t4g_portal.lib.egress.gate import Gate

logger = logging.getLogger(__name__)

APPLICATION_NAME = "t4g-kpi"
# So much longer than the server's own limit we wait before we cut; the question may have
# lifted that limit.
GRACE_S = 5.0
# How long the server gets to obey.
STOPPING_S = 3.0
# A number is short; names and errors around it are, too.
MAX_ANSWER_BYTES = 256 * 1024
LOCK_TIMEOUT_MS = 1_000
MAX_ADDRESSES = 4
_TWO_ROWS = 2
# int2, int4, int8, numeric, float4, float8: what is asked for, and all that is fetched.
_NUMBERS = frozenset((21, 23, 20, 1700, 700, 701))
_TYPE_OF_BOOL = 16
_BEGIN = (
    "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;"
    # A transaction that has looked at something can't become one that writes.
    " SELECT 1;"
    " SET LOCAL statement_timeout = {limit_ms};"
    " SET LOCAL lock_timeout = {lock_ms};"
    " SET LOCAL idle_in_transaction_session_timeout = {idle_ms};"
    " SET LOCAL max_parallel_workers_per_gather = 0;"
    " SET LOCAL client_min_messages = 'error';"
    " SET LOCAL TimeZone = 'UTC'"
)
# So often a busy server looks whether we still listen: a question that nothing else
# stops ends with the connection. Since PostgreSQL 14.
_NOTICE_LOSS = "; SET LOCAL client_connection_check_interval = 500"
_NOTICES_LOSS_SINCE = 140_000

T = TypeVar("T")


def read(
    question: Question, buckets: Sequence[Span], now: datetime
) -> Generator[Reading | UnableToRead, None, None]:
    """Answer for each bucket, in order, over one connection.

    A question that runs into the server's limit spoils its own bucket only; when the
    connection is lost, the rest is unknown for the same reason, and nobody waits again.
    """
    try:
        address = parse_database(question.url)
        statement = _statement(question)
    except UnableToRead as exc:
        yield from (exc for _ in buckets)
        return
    with asyncio.Runner() as runner:
        try:
            session = runner.run(connect(question, address))
        except UnableToRead as exc:
            yield from (exc for _ in buckets)
            return
        try:
            yield from _answers(session, question, statement, buckets, runner)
        finally:
            runner.run(session.close())


def _answers(
    session: Session,
    question: Question,
    statement: str,
    buckets: Sequence[Span],
    runner: asyncio.Runner,
) -> Generator[Reading | UnableToRead, None, None]:
    failure: UnableToRead | None = None
    for bucket in buckets:
        if failure is not None and session.is_lost:
            yield failure
            continue
        parameters = {
            "start": bucket.looks_from,
            "end": bucket.end,
            "tz": question.time_zone,
        }
        try:
            yield runner.run(session.number(statement, parameters))
        except UnableToRead as exc:
            failure = exc
            yield exc


def _statement(question: Question) -> str:
    """Return the SQL as it will run; raises UnableToRead when it may not."""
    found = sql_rules.problems(question.sql, allowed_tables=question.allowed_tables)
    if found:
        raise UnableToRead(
            Reason.REFUSED_SQL,
            pgettext(
                "stored", "The SQL of this KPI may not run; its owner must edit it"
            ),
            detail="; ".join(problem.message for problem in found),
        )
    try:
        return sql_rules.bound(question.sql)
    except ValueError as exc:
        raise UnableToRead(
            Reason.REFUSED_SQL, pgettext("stored", "The SQL of this KPI can't be read")
        ) from exc


class Session:
    """One connection to a source, for questions one after the other."""

    def __init__(
        self,
        connection: psycopg.AsyncConnection[Any],
        *,
        gate: Gate,
        addresses: Sequence[str],
        timeout_s: float,
    ) -> None:
        self._connection = connection
        self._cursor: psycopg.AsyncServerCursor[Any] | None = None
        self._gate = gate
        self._addresses = addresses
        self._timeout_s = timeout_s

    @property
    def connection(self) -> psycopg.AsyncConnection[Any]:
        """The bare connection, for `kpis.sources.probing` alone."""
        return self._connection

    @property
    def is_lost(self) -> bool:
        """Whether nothing more can be asked."""
        return self._connection.closed

    async def number(self, statement: str, parameters: dict[str, Any]) -> Reading:
        """Ask one question, in a transaction of its own. Raises UnableToRead."""
        started = time.perf_counter()
        found = await self.within(self._ask(statement, parameters))
        return Reading(
            value=number_of(found), took_ms=(time.perf_counter() - started) * 1000
        )

    async def within(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something with the connection before our deadline. Raises UnableToRead.

        After the deadline the server is told to stop, and the connection given up.
        """
        self._gate.allow(MAX_ANSWER_BYTES)
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task,), timeout=self._timeout_s + GRACE_S)
            if task.done():
                return task.result()
            # psycopg passes the first cancellation on to the server.
            task.cancel()
            await asyncio.wait((task,), timeout=STOPPING_S)
        except psycopg.Error as exc:
            if self._gate.is_flooded:
                raise _flooded() from exc
            raise _refusal(exc, self._addresses, self._timeout_s) from exc
        finally:
            await libpq.end(task)
        await self.close()
        raise _timed_out(self._timeout_s)

    async def _ask(self, statement: str, parameters: dict[str, Any]) -> object:
        await self._connection.execute(self._begin())
        try:
            return await self._fetch(statement, parameters)
        finally:
            if not self._connection.closed:
                await self._connection.execute("ROLLBACK")
                # What outlives a transaction: session locks, settings, plans.
                await self._connection.execute("DISCARD ALL")

    def _begin(self) -> str:
        limit_ms = max(int(self._timeout_s * 1000), 1)
        begin = _BEGIN.format(
            limit_ms=limit_ms,
            lock_ms=LOCK_TIMEOUT_MS,
            idle_ms=limit_ms + int(GRACE_S * 1000),
        )
        if self._connection.info.server_version >= _NOTICES_LOSS_SINCE:
            begin += _NOTICE_LOSS
        return begin

    async def _fetch(self, statement: str, parameters: dict[str, Any]) -> object:
        self._cursor = cursor = self._connection.cursor(name="kpi", scrollable=False)
        try:
            # DECLARE … CURSOR FOR takes one SELECT; parameters travel apart from it.
            await cursor.execute(statement, parameters)
            _check_columns(cursor.description or [])
            rows = await cursor.fetchmany(_TWO_ROWS)
        finally:
            await cursor.close()
        if not rows:
            raise UnableToRead(
                Reason.NO_ROWS, pgettext("stored", "The query gave no row: unknown")
            )
        if len(rows) > 1:
            raise UnableToRead(
                Reason.TOO_MANY_ROWS,
                pgettext("stored", "The query gave more than one row"),
            )
        return rows[0][0]

    async def close(self) -> None:
        """Hang up at once."""
        await self._connection.close()
        if self._cursor is not None:
            # Without a connection this only says that we know.
            await self._cursor.close()
        await self._gate.close()


async def connect(question: Question, address: DatabaseAddress) -> Session:
    """Log in on checked addresses. Raises UnableToRead."""
    addresses = _addresses(question, address)
    gate = Gate(
        addresses=addresses,
        port=address.endpoint.port,
        may_use_private=question.may_use_private_targets,
    )
    gate.allow(MAX_ANSWER_BYTES)
    try:
        async with asyncio.timeout(question.timeout_s):
            await gate.open(timeout_s=question.timeout_s)
            connection = await _log_in(question, address, gate)
    except BaseException as exc:
        await gate.close()
        if gate.is_flooded:
            raise _flooded() from exc
        if isinstance(exc, psycopg.Error | OSError):
            raise _refused_login(exc, addresses, question.timeout_s) from exc
        raise
    return Session(
        connection, gate=gate, addresses=addresses, timeout_s=question.timeout_s
    )


async def _log_in(
    question: Question, address: DatabaseAddress, gate: Gate
) -> psycopg.AsyncConnection[Any]:
    parameters = libpq.login(
        # The name is whom TLS must prove to be; the way there leads through the gate.
        host=address.endpoint.host,
        addresses=("127.0.0.1",),
        port=gate.port,
        database=address.name,
        user=address.user,
        password=question.secret,
        encryption=address.encryption,
        timeout_s=question.timeout_s,
        application_name=APPLICATION_NAME,
    )
    return await libpq.undeterred(
        psycopg.AsyncConnection.connect(
            **parameters, autocommit=True, prepare_threshold=None
        )
    )


def _addresses(question: Question, address: DatabaseAddress) -> tuple[str, ...]:
    """Return where the database is; raises UnableToRead when we must not go there."""
    try:
        addresses = resolve_blocking(
            host=address.endpoint.host,
            timeout_s=question.timeout_s,
            may_use_private=question.may_use_private_targets,
        )[:MAX_ADDRESSES]
    except BlockedAddress as exc:
        raise UnableToRead(Reason.BLOCKED_ADDRESS, str(exc)) from exc
    except UnableToResolve as exc:
        raise UnableToRead(Reason.CONNECTION, str(exc)) from exc
    except TimeoutError as exc:
        raise _timed_out(question.timeout_s) from exc
    except OSError as exc:
        raise _no_resources() from exc
    if not address.is_verified and any(is_public(one) for one in addresses):
        raise UnableToRead(
            Reason.UNSAFE_SOURCE,
            pgettext(
                "stored",
                "Across the internet the server's certificate must be verified:"
                " sslmode=verify-full",
            ),
        )
    return addresses


def is_public(address: str) -> bool:
    """Whether an address is out in the internet, where others may listen."""
    try:
        check_address(address)
    except BlockedAddress:
        return False
    return True


def _check_columns(columns: Sequence[Any]) -> None:
    """Refuse what isn't one number, before a row of it is fetched."""
    if len(columns) != 1:
        raise UnableToRead(
            Reason.TOO_MANY_COLUMNS,
            pgettext("stored", "The query must give one column, not %(count)d")
            % {"count": len(columns)},
        )
    code = columns[0].type_code
    if code in _NUMBERS:
        return
    if code == _TYPE_OF_BOOL:
        kind = pgettext("stored", "yes or no")
    else:
        kind = pgettext("stored", "of another type")
    raise UnableToRead(
        Reason.NOT_A_NUMBER,
        pgettext("stored", "The answer is %(kind)s, not a number") % {"kind": kind},
        detail=pgettext("stored", "The column's type is %(name)s; cast it to numeric")
        % {"name": columns[0].type_display},
    )


def _timed_out(timeout_s: float) -> UnableToRead:
    return UnableToRead(
        Reason.TIMEOUT,
        pgettext("stored", "No answer within %(timeout)s s")
        % {"timeout": f"{timeout_s:g}"},
    )


def _flooded() -> UnableToRead:
    return UnableToRead(
        Reason.TOO_BIG,
        pgettext("stored", "The answer is larger than %(count)d KB")
        % {"count": MAX_ANSWER_BYTES // 1024},
    )


def _no_resources() -> UnableToRead:
    return UnableToRead(
        Reason.NO_RESOURCES,
        pgettext("stored", "This machine has no free sockets, ports or memory"),
    )


def _refusal(
    exc: psycopg.Error, addresses: Sequence[str], timeout_s: float
) -> UnableToRead:
    """Return what an error of a question means.

    The server's own words may name tables and even values, so they are the detail.
    """
    state = exc.sqlstate or ""
    detail = one_line(libpq.told(exc, addresses), limit=300)
    if isinstance(
        exc,
        psycopg.errors.QueryCanceled | psycopg.errors.IdleInTransactionSessionTimeout,
    ):
        return _timed_out(timeout_s)
    if isinstance(exc, psycopg.errors.LockNotAvailable):
        return UnableToRead(
            Reason.TIMEOUT,
            pgettext("stored", "The table was locked by somebody else"),
            detail=detail,
        )
    if state == "42501":
        return UnableToRead(
            Reason.PERMISSION,
            pgettext("stored", "The database refuses: the role may not do that"),
            detail=detail,
        )
    if state.startswith("25"):
        return UnableToRead(
            Reason.REFUSED_SQL,
            pgettext("stored", "The SQL would write; only reading is allowed"),
            detail=detail,
        )
    if state.startswith(("42", "0A", "3F", "34", "26")):
        return UnableToRead(
            Reason.REFUSED_SQL,
            pgettext("stored", "The database can't run the SQL (%(code)s)")
            % {"code": state},
            detail=detail,
        )
    if state.startswith("22"):
        # One period's data: the others may be fine. Its words hold the value that it
        # stumbled over.
        return UnableToRead(
            Reason.NOT_A_NUMBER,
            pgettext(
                "stored", "The database can't compute it from these data (%(code)s)"
            )
            % {"code": state},
        )
    if not state or state.startswith(("08", "57P")):
        return UnableToRead(
            Reason.CONNECTION,
            pgettext("stored", "The connection was lost during the query"),
            detail=detail,
        )
    return UnableToRead(
        Reason.BAD_ANSWER,
        pgettext("stored", "The query failed (%(code)s)") % {"code": state},
        detail=detail,
    )


def _refused_login(
    exc: psycopg.Error | OSError, addresses: Sequence[str], timeout_s: float
) -> UnableToRead:
    if isinstance(exc, TimeoutError | psycopg.errors.ConnectionTimeout):
        return _timed_out(timeout_s)
    if isinstance(exc, OSError):
        return _unreachable(exc)
    text = one_line(libpq.told(exc, addresses), limit=300)
    if failures.names_shortage(text):
        return _no_resources()
    if "SSL" in text or "certificate" in text:
        return UnableToRead(
            Reason.TLS,
            pgettext("stored", "No safe connection: %(why)s") % {"why": text},
        )
    if libpq.is_refusal_of_login(text):
        return UnableToRead(
            Reason.PERMISSION,
            pgettext("stored", "The database refuses the login"),
            detail=text,
        )
    return UnableToRead(
        Reason.CONNECTION,
        pgettext("stored", "The database can't be reached"),
        detail=text,
    )


def _unreachable(exc: OSError) -> UnableToRead:
    if isinstance(exc, ConnectionRefusedError):
        return UnableToRead(
            Reason.CONNECTION, pgettext("stored", "The connection was refused")
        )
    if failures.names_shortage(exc.strerror or ""):
        return _no_resources()
    # `str(exc)` would name the address behind the name.
    return UnableToRead(
        Reason.CONNECTION,
        pgettext("stored", "The database can't be reached"),
        detail=one_line(exc.strerror or type(exc).__name__),
    )
