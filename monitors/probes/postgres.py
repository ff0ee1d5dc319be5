"""The PostgreSQL probe: log in and ask one read-only question."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, ClassVar, cast
from urllib.parse import unquote, urlsplit

import psycopg
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from monitors.probes import assertions, failures
from monitors.probes.base import (
    Outcome,
    Phases,
    ProbeRequest,
    ProbeResult,
    Reason,
    UnableToParse,
)
from monitors.probes.options import option
from monitors.probes.targets import Endpoint, check_length, parse_endpoint
from monitors.probes.texts import one_line
from t4g_portal.lib.egress import Stage, libpq, resolve

DEFAULT_PORT = 5432
DEFAULT_QUERY = "SELECT 1"


@dataclass(frozen=True, slots=True)
class Database:
    """Where a target points."""

    endpoint: Endpoint
    name: str


def parse_database(target: str) -> Database:
    """`host[:port]/dbname` or `postgresql://host[:port]/dbname`. Raises UnableToParse.

    User and password have fields of their own, so a target can be shown to anybody.
    """
    check_length(target)
    if "://" in target:
        try:
            parts = urlsplit(target)
        except ValueError as exc:
            raise UnableToParse(
                "target", pgettext("stored", "This is not a URL")
            ) from exc
        if parts.scheme not in ("postgresql", "postgres"):
            raise UnableToParse(
                "target", pgettext("stored", "A URL starts with postgresql://")
            )
        if parts.query or parts.fragment:
            raise UnableToParse(
                "target", pgettext("stored", "Parameters belong into the options")
            )
        address, name = parts.netloc, unquote(parts.path.removeprefix("/"))
    else:
        address, _slash, name = target.partition("/")
    if "@" in address:
        raise UnableToParse(
            "target", pgettext("stored", "User and password have fields of their own")
        )
    if not name or len(name) > 63 or "\0" in name:
        raise UnableToParse(
            "target", pgettext("stored", "Name the database: host:port/database")
        )
    return Database(
        endpoint=parse_endpoint(address, default_port=DEFAULT_PORT), name=name
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresOptions:
    """Who logs in, how it is encrypted, what is asked. The password is the secret."""

    user: str = option("postgres", type="text", label=_("user name"), maximum=63)
    tls: str = option(
        "prefer",
        type="choice",
        label=_("encryption"),
        choices=(
            ("disable", _("none")),
            ("prefer", _("where offered")),
            ("require", _("required, certificate not verified")),
            ("verify-full", _("required, certificate verified")),
        ),
    )
    query: str = option(
        DEFAULT_QUERY,
        type="lines",
        label=_("query"),
        help=_("One statement, run read-only; its first value is the answer."),
        maximum=4000,
    )

    def check(self) -> None:
        """Raise UnableToParse for an empty name or query."""
        if not self.user.strip():
            raise UnableToParse("user", pgettext("stored", "Say who logs in"))
        if not self.query.strip():
            raise UnableToParse("query", pgettext("stored", "Say what to ask"))


class PostgresProbe:
    """Logs in (recorded as the connect time) and asks (as the first byte's time)."""

    kind: ClassVar[str] = "postgres"
    label: ClassVar[Any] = _("PostgreSQL")
    options_type: ClassVar[type[Any]] = PostgresOptions
    target_example: ClassVar[str] = "db.example.org:5432/app"
    subjects: ClassVar[frozenset[str]] = frozenset(("answer", "latency"))
    is_passive: ClassVar[bool] = False

    def check_target(self, target: str) -> None:
        """Raise UnableToParse unless `target` names host and database only."""
        parse_database(target)

    async def probe(self, request: ProbeRequest, phases: Phases) -> ProbeResult:
        """Log in on a checked address, ask, leave."""
        database = parse_database(request.target)
        addresses = await resolve(
            host=database.endpoint.host,
            may_use_private=request.may_use_private_targets,
            recorder=phases,
        )
        phases.stage = Stage.CONNECT
        try:
            return await libpq.undeterred(_ask(request, database, addresses, phases))
        except psycopg.Error as exc:
            return _refusal(exc, addresses, request.timeout_s, phases)


def _login(
    request: ProbeRequest, database: Database, addresses: tuple[str, ...]
) -> dict[str, Any]:
    options: PostgresOptions = request.options
    return libpq.login(
        host=database.endpoint.host,
        addresses=addresses,
        port=database.endpoint.port,
        database=database.name,
        user=options.user,
        password=request.secret,
        encryption=options.tls,
        timeout_s=request.timeout_s,
        application_name="t4g-portal",
    )


async def _ask(
    request: ProbeRequest,
    database: Database,
    addresses: tuple[str, ...],
    phases: Phases,
) -> ProbeResult:
    options: PostgresOptions = request.options
    started = time.perf_counter()
    connection = await psycopg.AsyncConnection.connect(
        **_login(request, database, addresses), autocommit=True
    )
    connected = time.perf_counter()
    phases.connect_ms = (connected - started) * 1000
    phases.stage = Stage.FIRST_BYTE
    rows = None
    try:
        if options.query != DEFAULT_QUERY:
            await _begin(connection, request.timeout_s)
        # Row by row: one statement only (extended protocol), and a careless query
        # doesn't fill our memory.
        rows = cast(
            "AsyncGenerator[tuple[Any, ...], None]",
            connection.cursor().stream(options.query),
        )
        row = await anext(rows, None)
        phases.first_byte_ms = (time.perf_counter() - connected) * 1000
        version = connection.info.server_version
    finally:
        # First the socket: psycopg would wait for the server to stop the query.
        await connection.close()
        if rows is not None:
            await rows.aclose()
    answer = _as_text(row[0]) if row else None
    return _judge(request, phases, answer, version)


async def _begin(connection: psycopg.AsyncConnection[Any], timeout_s: float) -> None:
    """A read-only transaction in which the server, too, knows when to give up.

    Without its own limit it would go on with a query that nobody waits for.
    """
    limit_ms = max(int(timeout_s * 1000), 1)
    begin = f"BEGIN READ ONLY; SET LOCAL statement_timeout = {limit_ms}"
    await connection.execute(begin)


def _as_text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        # What psycopg makes of text in a SQL_ASCII database.
        return value.decode("utf-8", "replace")
    return None if value is None else str(value)


def _judge(
    request: ProbeRequest, phases: Phases, answer: str | None, version: int
) -> ProbeResult:
    facts = {"server_version": f"{version // 10000}.{version % 10000}"}
    unmet = assertions.judge(
        request.assertions, assertions.Seen(answer=answer, latency_ms=phases.total_ms)
    )
    if unmet is not None:
        return failures.failed(
            Reason.ASSERTION, unmet, phases, failed_assertion=unmet, facts=facts
        )
    return ProbeResult(
        outcome=Outcome.PASSED,
        reason=int(Reason.OK),
        message=pgettext("stored", "The database answers"),
        phases=phases,
        facts=facts,
    )


def _refusal(
    exc: psycopg.Error, addresses: tuple[str, ...], timeout_s: float, phases: Phases
) -> ProbeResult:
    text = one_line(libpq.told(exc, addresses))
    if failures.names_shortage(text):
        return failures.out_of_resources(phases)
    if isinstance(exc, psycopg.errors.QueryCanceled):
        return failures.timed_out(timeout_s=timeout_s, phases=phases)
    if phases.stage is not Stage.CONNECT:
        if isinstance(exc, psycopg.OperationalError) and exc.sqlstate is None:
            return failures.failed(
                Reason.CONNECTION_LOST,
                pgettext("stored", "The connection was lost during the query"),
                phases,
            )
        return failures.failed(
            Reason.UNEXPECTED_ANSWER,
            pgettext("stored", "The query failed: %(why)s") % {"why": text},
            phases,
        )
    reason = Reason.UNEXPECTED_ANSWER
    if isinstance(exc, psycopg.errors.ConnectionTimeout):
        reason = Reason.TIMEOUT
    elif "Connection refused" in text:
        return failures.failed(
            Reason.REFUSED, pgettext("stored", "The connection was refused"), phases
        )
    elif "unreachable" in text or "No route" in text:
        reason = Reason.UNREACHABLE
    elif "does not match host name" in text:
        reason = Reason.TLS_WRONG_HOST
    elif "certificate has expired" in text:
        reason = Reason.TLS_EXPIRED
    elif "certificate verify failed" in text:
        reason = Reason.TLS_UNTRUSTED
    elif "SSL" in text:
        reason = Reason.TLS
    elif libpq.is_refusal_of_login(text):
        reason = Reason.AUTHENTICATION
    elif "closed the connection" in text or "reset by peer" in text:
        reason = Reason.CONNECTION_LOST
    return failures.failed(reason, text, phases)
