"""Which SQL may be saved: one SELECT over listed tables, with listed functions. Pure.

It tells an author early what a source would refuse, and keeps mistakes out. It is no
wall: the database's role and the way we run a question (`kpis.sources.postgres`) hold
without it. Everything is an allow-list, because `pg_sleep`, `dblink` and `nextval` look
like any other function: what isn't known is refused.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any

import sqlglot
from django.utils.translation import get_language, pgettext
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

# It warns of statements that it can't parse; we refuse them.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

MAX_LENGTH = 10_000
MAX_TOKENS = 2_500
MAX_PROBLEMS = 5
PARAMETERS = ("start", "end", "tz")
_CASTS = {
    "start": "%(start)s::timestamptz",
    "end": "%(end)s::timestamptz",
    "tz": "%(tz)s::text",
}
_TABLE = re.compile(r"[a-z_][a-z0-9_$]*(?:\.(?:[a-z_][a-z0-9_$]*|\*))?")

# Parts of a SELECT. Not here, so refused: anything that writes, FOR UPDATE (Lock), INTO,
# TABLESAMPLE, arrays, rows, `||` (grows without end), patterns that backtrack, …
_PARTS: frozenset[type[exp.Expr]] = frozenset(
    (
        *(exp.Select, exp.Union, exp.Except, exp.Intersect, exp.Subquery, exp.With),
        *(exp.CTE, exp.From, exp.Join, exp.Lateral, exp.Where, exp.Group, exp.Having),
        *(exp.Order, exp.Ordered, exp.Limit, exp.Offset, exp.Distinct, exp.Table),
        *(exp.TableAlias, exp.Alias, exp.Column, exp.Identifier, exp.Star, exp.Literal),
        *(
            exp.Null,
            exp.Boolean,
            exp.Placeholder,
            exp.Paren,
            exp.Tuple,
            exp.And,
            exp.Or,
        ),
        *(exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is),
        *(exp.NullSafeEQ, exp.NullSafeNEQ, exp.In, exp.Between, exp.Like, exp.ILike),
        *(exp.Escape, exp.Exists, exp.Any, exp.All, exp.Add, exp.Sub, exp.Mul, exp.Div),
        *(exp.IntDiv, exp.Mod, exp.Neg, exp.Pow, exp.Case, exp.If, exp.Cast),
        *(exp.DataType, exp.DataTypeParam, exp.Interval, exp.IntervalSpan, exp.Var),
        *(exp.AtTimeZone, exp.Filter, exp.WithinGroup, exp.Window, exp.WindowSpec),
        *(exp.Window, exp.JSONPath, exp.JSONPathRoot, exp.JSONPathKey),
        *(exp.JSONPathSubscript, exp.Cube, exp.Rollup, exp.GroupingSets),
    )
)
# Functions that sqlglot knows by class. None makes something long out of something
# short, reads anything but its arguments, or differs from run to run.
_FUNCTIONS: frozenset[type[exp.Expr]] = frozenset(
    (
        *(exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Mode, exp.Median),
        *(exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop),
        *(exp.Corr, exp.PercentileCont, exp.PercentileDisc, exp.LogicalAnd),
        *(exp.LogicalOr, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Abs),
        *(exp.Ceil, exp.Floor, exp.Round, exp.Trunc, exp.Sign, exp.Sqrt, exp.Ln),
        *(exp.Log, exp.Exp, exp.Length, exp.Lower, exp.Upper, exp.Extract),
        *(exp.TimestampTrunc, exp.DateTrunc, exp.Date, exp.RowNumber, exp.Rank),
        *(exp.DenseRank, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.Ntile),
        *(exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBExtract),
        *(exp.JSONBExtractScalar, exp.CumeDist, exp.PercentRank, exp.DateBin),
        exp.MakeInterval,
    )
)
# … and by name only.
_NAMED_FUNCTIONS = frozenset(("age", "date_part", "date_trunc"))
# Also functions to sqlglot, but parts of the language.
_LANGUAGE = frozenset(
    (exp.And, exp.Or, exp.Case, exp.If, exp.Cast, exp.Exists, exp.Any)
)
_CLOCKS: tuple[type[exp.Expr], ...] = (
    *(exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.Localtime),
    *(exp.Localtimestamp, exp.CurrentDatetime),
)
_CLOCK_NAMES = frozenset(
    ("clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday")
)
_TYPES = frozenset(
    (
        *(exp.DataType.Type.SMALLINT, exp.DataType.Type.INT, exp.DataType.Type.BIGINT),
        *(exp.DataType.Type.DECIMAL, exp.DataType.Type.FLOAT, exp.DataType.Type.DOUBLE),
        *(exp.DataType.Type.DATE, exp.DataType.Type.TIME, exp.DataType.Type.TIMESTAMP),
        *(exp.DataType.Type.TIMESTAMPTZ, exp.DataType.Type.INTERVAL),
        *(exp.DataType.Type.BOOLEAN, exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR),
        exp.DataType.Type.UUID,
    )
)
# Quotes that PostgreSQL and the parser might read differently.
_ODD_STRINGS = (exp.ByteString, exp.RawString, exp.UnicodeString, exp.HexString)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that SQL may not hold; `message` says what to do about it."""

    code: str
    message: str


def problems(sql: str, *, allowed_tables: Iterable[str]) -> tuple[Problem, ...]:
    """Return what keeps this SQL from being saved; nothing when it may be."""
    # The language is part of the key: the messages are in it.
    return _problems(sql, tuple(allowed_tables), get_language() or "")


def bound(sql: str) -> str:
    """Return the SQL as psycopg takes it: :start, :end and :tz as its parameters.

    Nothing else of it changes. Raises ValueError when it can't be read.
    """
    try:
        tokens = sqlglot.tokenize(sql, dialect="postgres")
    except SqlglotError as exc:
        raise ValueError(str(exc)) from exc
    pieces, position = [], 0
    for first, name in _marks(tokens):
        pieces.append(sql[position : first.start].replace("%", "%%"))
        pieces.append(_CASTS[name.text.lower()])
        position = name.end + 1
    pieces.append(sql[position:].replace("%", "%%"))
    return "".join(pieces)


def table_problem(entry: object) -> str:
    """Say why an entry of the list of tables can't be used; empty when it can."""
    if isinstance(entry, str) and _TABLE.fullmatch(entry):
        return ""
    return pgettext(
        "stored", "Write tables as schema.table or table, in lower case, or schema.*"
    )


@lru_cache(maxsize=512)
def _problems(
    sql: str, allowed_tables: tuple[str, ...], language: str
) -> tuple[Problem, ...]:
    try:
        tree = _parse(sql)
        found = dict.fromkeys(_faults(tree, frozenset(allowed_tables)))
    except _Refused as exc:
        return (exc.problem,)
    except RecursionError:
        return (Problem("depth", pgettext("stored", "The SQL is nested too deeply")),)
    return tuple(islice(found, MAX_PROBLEMS))


class _Refused(Exception):
    """What can't even be looked at part by part."""

    def __init__(self, code: str, message: str) -> None:
        self.problem = Problem(code, message)
        super().__init__(code)


def _parse(sql: str) -> exp.Expr:
    if not sql.strip():
        raise _Refused("empty", pgettext("stored", "Write one SELECT"))
    if len(sql) > MAX_LENGTH or "\0" in sql:
        raise _Refused(
            "length",
            pgettext("stored", "Write at most %(count)d characters")
            % {"count": MAX_LENGTH},
        )
    try:
        tokens = sqlglot.tokenize(sql, dialect="postgres")
        if len(tokens) > MAX_TOKENS:
            raise _Refused("length", pgettext("stored", "The SQL is too long"))
        trees = sqlglot.parse(sql, dialect="postgres")
    except SqlglotError as exc:
        raise _Refused("syntax", _syntax_message(exc)) from exc
    if len(trees) != 1:
        raise _Refused(
            "statements", pgettext("stored", "Write one statement, not several")
        )
    (tree,) = trees
    if not isinstance(tree, exp.Select | exp.SetOperation):
        raise _Refused("not_select", pgettext("stored", "Only a SELECT can be a KPI"))
    marks = len(list(_marks(tokens)))
    if marks != sum(1 for _ in tree.find_all(exp.Placeholder)):
        raise _Refused(
            "parameter",
            pgettext("stored", "Only :start, :end and :tz can be used as parameters"),
        )
    return tree


def _syntax_message(exc: SqlglotError) -> str:
    places: list[dict[str, Any]] = getattr(exc, "errors", [])
    place = places[0] if places else {}
    if place.get("line"):
        return pgettext(
            "stored", "The SQL can't be read at line %(line)d, column %(column)d"
        ) % {"line": place["line"], "column": place["col"]}
    return pgettext("stored", "The SQL can't be read: a quote or comment isn't closed")


def _marks(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token]]:
    """Yield the colon and the name of each parameter."""
    for colon, name in pairwise(tokens):
        if (
            colon.token_type is TokenType.COLON
            and name.start == colon.end + 1
            and name.text.lower() in PARAMETERS
            and name.token_type is not TokenType.STRING
        ):
            yield colon, name


def _faults(tree: exp.Expr, allowed: frozenset[str]) -> Iterator[Problem]:
    for node in tree.walk():
        yield from _faults_of(node, allowed)
    names = {node.name.lower() for node in tree.find_all(exp.Placeholder)}
    if not names & {"start", "end"}:
        yield Problem(
            "unbound",
            pgettext(
                "stored",
                "Say which time is counted with :start and :end, as in"
                " created_at >= :start AND created_at < :end",
            ),
        )


def _faults_of(node: exp.Expr, allowed: frozenset[str]) -> Iterator[Problem]:
    if isinstance(node, exp.Table):
        yield from _table_faults(node, allowed)
    elif isinstance(node, exp.DataType) and not isinstance(node, exp.IntervalSpan):
        if node.this not in _TYPES or node.args.get("nested"):
            yield Problem(
                "type",
                pgettext("stored", "The type %(name)s can't be used")
                % {"name": _short(node.sql(dialect="postgres"))},
            )
    elif isinstance(node, exp.With):
        if node.args.get("recursive"):
            yield Problem(
                "recursive", pgettext("stored", "WITH RECURSIVE can't be used")
            )
    elif isinstance(node, _CLOCKS) or (
        isinstance(node, exp.Anonymous) and node.name.lower() in _CLOCK_NAMES
    ):
        yield Problem(
            "clock",
            pgettext(
                "stored",
                "Use :start and :end instead of the present time: so past periods can"
                " be computed too",
            ),
        )
    elif isinstance(node, exp.Func) and type(node) not in _LANGUAGE:
        if not _may_call(node):
            yield Problem(
                "function",
                pgettext("stored", "The function %(name)s can't be used")
                % {"name": _short(_function_name(node))},
            )
    elif type(node) not in _PARTS:
        yield Problem(
            "part",
            pgettext("stored", "%(name)s can't be used in a KPI")
            % {"name": _short(_part_name(node))},
        )


def _may_call(node: exp.Func) -> bool:
    if isinstance(node, exp.Anonymous):
        # A schema before the name could make it any function.
        return node.name.lower() in _NAMED_FUNCTIONS and not isinstance(
            node.parent, exp.Dot
        )
    kind: type[exp.Expr] = type(node)
    return kind in _FUNCTIONS or kind in _PARTS


def _table_faults(node: exp.Table, allowed: frozenset[str]) -> Iterator[Problem]:
    if not isinstance(node.this, exp.Identifier):
        # A function in FROM: the function itself is judged on its own.
        yield Problem(
            "table_function",
            pgettext("stored", "A function can't stand where a table does"),
        )
        return
    name, schema = _folded(node.this), _folded(node.args.get("db"))
    shown = f"{schema}.{name}" if schema else name
    if node.args.get("catalog") or not (
        (not schema and _is_common(node, name)) or _is_listed(schema, name, allowed)
    ):
        yield Problem(
            "table",
            pgettext(
                "stored",
                "The table %(name)s isn't among those that the data source lists",
            )
            % {"name": _short(shown)},
        )


def _folded(identifier: exp.Expr | None) -> str:
    """Return a name as PostgreSQL reads it: lower case unless quoted."""
    if identifier is None:
        return ""
    is_quoted = bool(identifier.args.get("quoted"))
    return str(identifier.name) if is_quoted else str(identifier.name).lower()


def _is_listed(schema: str, name: str, allowed: frozenset[str]) -> bool:
    if schema:
        return bool({f"{schema}.{name}", f"{schema}.*"} & allowed) or (
            schema == "public" and name in allowed
        )
    # Which schema it is in is for the role's search path to say, so one that would
    # find catalogs by their bare names isn't helped by `schema.*`.
    return name in allowed or any(entry.rpartition(".")[2] == name for entry in allowed)


def _is_common(table: exp.Table, name: str) -> bool:
    """Whether a name is that of a WITH query which this place can see.

    A query of a WITH sees those before it only: in `WITH t AS (SELECT * FROM t)` the
    inner `t` is the table.
    """
    inner: exp.Expr = table
    outer = table.parent
    while outer is not None:
        if isinstance(outer, exp.With):
            before = outer.expressions[: outer.expressions.index(inner)]
            if name in {_alias_of(query) for query in before}:
                return True
        elif (common := outer.args.get("with_")) is not None and common is not inner:
            visible = {_alias_of(query) for query in common.expressions}
            if name in visible:
                return True
        inner, outer = outer, outer.parent
    return False


def _alias_of(query: exp.Expr) -> str:
    alias = query.args.get("alias")
    return _folded(alias.this) if alias is not None else ""


def _function_name(node: exp.Func) -> str:
    if isinstance(node, exp.Anonymous):
        return str(node.name).lower()
    return str(node.sql_name()).lower()


def _part_name(node: exp.Expr) -> str:
    if isinstance(node, _ODD_STRINGS):
        return pgettext("stored", "A text in unusual quotes")
    if isinstance(node, exp.Lock):
        return "FOR UPDATE"
    if isinstance(node, exp.DPipe):
        return "||"
    return type(node).__name__.upper()


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:59]}…"
