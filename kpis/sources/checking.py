"""Whether a source is safe to ask, found out by trying, and remembered.

A PostgreSQL source is asked nothing before it was found safe as it is now, and is looked
at again each day: grants change.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.crypto import salted_hmac
from django.utils.translation import pgettext

from kpis.models import DataSource, DataSourceState
from kpis.reading import Question, Reason, UnableToRead
from kpis.sources import http, json_paths, postgres, probing
from kpis.sources.addresses import parse_database
from t4g_portal.lib.retelling import source_language
from t4g_portal.lib.secrets import UnableToDecrypt

CHECK_EVERY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found: `problems` forbid the source, `advice` doesn't.

    Both are English sentences to be stored (ADR 9).
    """

    problems: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    @property
    def is_safe(self) -> bool:
        """Whether the source may be asked."""
        return not self.problems


def check_source(*, source: DataSource, now: datetime) -> Check:
    """Ask a source, try what must be forbidden, and note what came of it.

    Takes a few seconds; outside any transaction. Raises UnableToRead when the source
    can't be asked at all: then nothing is known, and what was known before stays.
    """
    with source_language():
        try:
            check, sample = _looked_at(question_of(source))
        except UnableToRead as exc:
            _note(source, last_error=exc.message)
            raise
    values: dict[str, Any] = {
        "checked_at": now,
        "checked_fingerprint": fingerprint(source),
        "problem": "\n".join(check.problems),
        "last_error": "",
    }
    if sample is not None:
        values["last_sample"] = sample
    _note(source, **values)
    return check


def demand_safe(*, source: DataSource, now: datetime) -> None:
    """Raise UnableToRead unless a source was found safe, as it is now, within a day.

    Checks it where that isn't known yet.
    """
    if source.kind != "postgres":
        return
    state = DataSourceState.objects.filter(source=source).first()
    if state is None or not is_checked(source=source, state=state, now=now):
        problem = "\n".join(check_source(source=source, now=now).problems)
    else:
        problem = state.problem
    if problem:
        with source_language():
            raise UnableToRead(
                Reason.UNSAFE_SOURCE,
                pgettext(
                    "stored",
                    "The source is not safe: its role may do more than read. Its page"
                    " in the admin says what",
                ),
                detail=problem.replace("\n", "; "),
            )


def is_checked(*, source: DataSource, state: DataSourceState, now: datetime) -> bool:
    """Whether what a check found still speaks for the source."""
    return (
        state.checked_at is not None
        and state.checked_at > now - CHECK_EVERY
        and state.checked_fingerprint == fingerprint(source)
    )


def fingerprint(source: DataSource) -> str:
    """Return what tells one way of asking from another; keyed, for a secret is in it."""
    asked = [
        *(source.kind, source.url, source.header, _secret(source)),
        *(source.may_use_private_targets, sorted(map(str, source.allowed_tables))),
    ]
    return salted_hmac(
        "kpis.sources.checking", json.dumps(asked), algorithm="sha256"
    ).hexdigest()


def question_of(source: DataSource) -> Question:
    """Return how a source is asked, without a question. Raises UnableToRead."""
    return Question(
        kind=source.kind,
        url=source.url,
        secret=_secret(source),
        header=source.header,
        timeout_s=source.timeout_s,
        allowed_tables=tuple(source.allowed_tables),
        may_use_private_targets=source.may_use_private_targets,
    )


def _secret(source: DataSource) -> str:
    try:
        return str(source.secret)
    except UnableToDecrypt as exc:
        raise UnableToRead(
            Reason.MISCONFIGURED,
            pgettext("stored", "Its secret can't be decrypted. Enter it again."),
        ) from exc


def _looked_at(question: Question) -> tuple[Check, Any]:
    if question.kind == "http":
        document = http.fetch(question).document
        return Check(), json_paths.sample_of(document)
    if question.kind == "postgres":
        with asyncio.Runner() as runner:
            found = runner.run(_examined(question))
        return Check(problems=found.problems, advice=found.advice), None
    return Check(), None


async def _examined(question: Question) -> probing.Findings:
    session = await postgres.connect(question, parse_database(question.url))
    try:
        return await probing.examine(session, allowed_tables=question.allowed_tables)
    finally:
        await session.close()


def _note(source: DataSource, **values: Any) -> None:
    DataSourceState.objects.update_or_create(source=source, defaults=values)
