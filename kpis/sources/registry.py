"""All kinds of sources, and the one way to ask them and to check what is asked.

A kind is one file beside this one with a function `read(question, buckets, now)`, and a
line in each table here.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from kpis.reading import Question, Reading, Reason, Span, UnableToRead
from kpis.sources import http, json_paths, manual, portal, postgres, sql_rules
from kpis.sources.addresses import check_header, check_secret, check_url, parse_database
from kpis.sources.measures import Subject, measure_called, parse_series
from t4g_portal.lib.logs.scrubbing import scrub
from t4g_portal.lib.retelling import source_language

logger = logging.getLogger(__name__)

Answer = Reading | UnableToRead
Answers = Generator[Answer, None, None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to get a figure. `can_look_back`: whether it knows about past periods."""

    label: Any
    read: Callable[[Question, Sequence[Span], datetime], Answers]
    can_look_back: bool
    # Which fields of a KPI say what is asked of it.
    fields: tuple[str, ...]


# The kind that nobody reads: people enter its values.
MANUAL = "manual"
KINDS: Mapping[str, Kind] = {
    "postgres": Kind(_("PostgreSQL, read-only"), postgres.read, True, ("sql",)),
    "http": Kind(_("JSON over HTTP"), http.read, False, ("json_path",)),
    "portal": Kind(_("This portal"), portal.read, True, ("measure", "measure_target")),
    MANUAL: Kind(_("Entered by hand"), manual.read, False, ()),
}
MAX_TABLES = 200


def choices() -> list[tuple[str, Any]]:
    """(kind, label) for a form or a model field."""
    return [(name, kind.label) for name, kind in KINDS.items()]


def read(question: Question, buckets: Sequence[Span], *, now: datetime) -> Answers:
    """Answer for each bucket, in order: exactly one answer each, never an exception.

    May take `timeout_s` and a few seconds a bucket. Outside any transaction, in a thread
    that may wait; the kind "portal" uses that thread's database connection. Messages are
    English sentences to be stored (ADR 9), without secrets.
    """
    kind = KINDS.get(question.kind)
    if kind is None:
        unknown = UnableToRead(
            Reason.MISCONFIGURED, pgettext("stored", "There is no such kind")
        )
        yield from (unknown for _bucket in buckets)
        return
    # Closed also when the reader stops early: a connection may hang on it.
    with closing(kind.read(question, buckets, now)) as answers:
        for _bucket in buckets:
            with source_language():
                answer = _next(answers, question)
            yield answer


def _next(answers: Answers, question: Question) -> Answer:
    try:
        answer = next(answers)
    except Exception as exc:  # noqa: BLE001 the edge of a source
        known = [question.secret] if question.secret else []
        logger.error(
            "reading a source of kind %s failed in our own code: %s",
            question.kind,
            scrub("".join(traceback.format_exception(exc)), known=known),
        )
        return UnableToRead(
            Reason.INTERNAL,
            pgettext("stored", "The portal itself made a mistake; its log says which"),
        )
    if isinstance(answer, UnableToRead) and question.secret:
        return _without(answer, question.secret)
    return answer


def _without(answer: UnableToRead, secret: str) -> UnableToRead:
    """A source that echoes what it got must not put the secret on a page."""
    if secret not in answer.message + answer.detail:
        return answer
    return UnableToRead(
        answer.reason,
        answer.message.replace(secret, "***"),
        detail=answer.detail.replace(secret, "***"),
    )


def validate(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with what a KPI asks, by field; forms, API and import share it.

    `values`: a KPI's fields, with its `source` (a row, or anything with its `kind` and
    `allowed_tables`). What its kind has no use for must be empty.
    """
    source = values.get("source")
    kind = KINDS.get(source.kind) if source is not None else None
    if source is None or kind is None:
        return {}
    found = {
        name: pgettext("stored", "Leave it empty: this source has no use for it")
        for name in ("sql", "json_path", "measure", "measure_target")
        if name not in kind.fields and values.get(name)
    }
    if source.kind in _ASKED:
        found |= _ASKED[source.kind](values, source)
    return found


def validate_source(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with a data source itself, by field.

    `values`: its fields, with a new `secret` if one is given.
    """
    found = {}
    for name, check in _SOURCE_CHECKS.get(values.get("kind", ""), {}).items():
        # A source that isn't asked may wait for its address.
        may_be_empty = name == "secret" or not values.get("is_enabled", True)
        if may_be_empty and not values.get(name):
            continue
        try:
            check(values.get(name) or "")
        except UnableToRead as exc:
            found[name] = exc.message
    problem = _tables_problem(values.get("allowed_tables", []))
    if problem:
        found["allowed_tables"] = problem
    return found


def _tables_problem(tables: object) -> str:
    if not isinstance(tables, list) or len(tables) > MAX_TABLES:
        return pgettext("stored", "Give a list of at most %(count)d tables") % {
            "count": MAX_TABLES
        }
    return next(filter(None, map(sql_rules.table_problem, tables)), "")


def _sql_faults(values: Mapping[str, Any], source: Any) -> dict[str, str]:
    problems = sql_rules.problems(
        values.get("sql") or "", allowed_tables=source.allowed_tables
    )
    return {"sql": "\n".join(one.message for one in problems)} if problems else {}


def _path_faults(values: Mapping[str, Any], source: Any) -> dict[str, str]:
    problem = json_paths.path_problem(values.get("json_path") or "")
    return {"json_path": problem} if problem else {}


def _measure_faults(values: Mapping[str, Any], source: Any) -> dict[str, str]:
    try:
        measure = measure_called(values.get("measure") or "")
    except UnableToRead as exc:
        return {"measure": exc.message}
    if measure.subject is Subject.SERIES:
        try:
            parse_series(values.get("measure_target") or "")
        except UnableToRead as exc:
            return {"measure_target": exc.message}
    elif not portal.is_service(values.get("measure_target") or ""):
        return {
            "measure_target": pgettext(
                "stored", "Write a service's short name, or nothing for all of them"
            )
        }
    return {}


_ASKED: Mapping[str, Callable[[Mapping[str, Any], Any], dict[str, str]]] = {
    "postgres": _sql_faults,
    "http": _path_faults,
    "portal": _measure_faults,
}
_SOURCE_CHECKS: Mapping[str, Mapping[str, Callable[[str], object]]] = {
    "postgres": {"url": parse_database},
    "http": {"url": check_url, "header": check_header, "secret": check_secret},
}
