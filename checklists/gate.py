"""The gate: may this commit go there? Whatever is not certain is a no.

A pass needs an open run of the service, the environment and exactly that commit, and
every such run ready. It is an answer for now: what it rests on may end a second later.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from checklists.actors import Actor
from checklists.facts import WaiverFacts
from checklists.models import ChecklistRun, GateDecision
from checklists.queries import LoadedRun, load_runs
from checklists.standing import ItemStanding, State
from checklists.telling import said
from incidents.models import Service
from t4g_portal.lib import audit
from t4g_portal.lib.retelling import source_language

logger = logging.getLogger(__name__)


class Whole(StrEnum):
    """The states of a blocker that is no item."""

    NO_RUN = "no_run"
    OTHER_COMMIT = "other_commit"
    RUN = "run"
    FAULT = "fault"


_WORDS: Mapping[Whole, Any] = {
    Whole.NO_RUN: _(
        "No checklist run is open for this service and environment. Open one for this"
        " commit."
    ),
    Whole.OTHER_COMMIT: _(
        "The run is for commit %(git_sha)s. Move it to this commit, all of its digits."
    ),
    Whole.FAULT: _("The portal could not judge; its log says why. Ask again."),
}


@dataclass(frozen=True, slots=True)
class Passed:
    """An item that passes by a waiver."""

    run_id: int
    key: str
    title: str
    waiver: WaiverFacts


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer and the row that keeps it. `expires_at`: when time alone closes it."""

    row: GateDecision
    run_ids: tuple[int, ...] = ()
    waivers: tuple[Passed, ...] = ()
    expires_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether the commit may go."""
        return self.row.verdict == GateDecision.Verdict.PASS


@dataclass(frozen=True, slots=True)
class _Asked:
    service: Service
    environment: str
    sha: str
    caller: Actor
    now: datetime


def decide(
    *, service_slug: str, environment: str, sha: str, caller: Actor, now: datetime
) -> Decision:
    """Decide whether a commit may go to an environment, and keep the decision.

    A fault while judging is a block, kept like any other; what can't be kept is no
    decision and raises. Raises Service.DoesNotExist.
    """
    service = Service.objects.only("slug", "name").get(slug=service_slug)
    asked = _Asked(service, environment, sha, caller, now)
    try:
        with transaction.atomic():
            return _decide(asked)
    except Exception:
        logger.exception(
            "the gate of %s in %s could not judge %s", service_slug, environment, sha
        )
    with transaction.atomic():
        return Decision(_keep(asked, None, [_blocker(Whole.FAULT, _word(Whole.FAULT))]))


def _decide(asked: _Asked) -> Decision:
    # Whoever signs or revokes meanwhile waits, so that what is kept is what was.
    opened = list(
        ChecklistRun.objects.select_for_update(no_key=True)
        .filter(
            service=asked.service,
            environment=asked.environment,
            state=ChecklistRun.State.OPEN,
        )
        .order_by("pk")
    )
    fitting = [run.pk for run in opened if run.git_sha == asked.sha]
    loaded = sorted(load_runs(fitting, now=asked.now), key=lambda one: one.run.pk)
    blockers = [blocker for one in loaded for blocker in _of_run(one)]
    if not fitting:
        blockers = list(_of_no_run(opened))
    row = _keep(asked, fitting[0] if fitting else None, blockers)
    ends = [end for one in loaded if (end := one.standing.valid_until) is not None]
    return Decision(
        row=row,
        run_ids=tuple(fitting),
        waivers=tuple(passed for one in loaded for passed in _waived(one)),
        expires_at=min(ends, default=None) if not blockers else None,
    )


def _of_run(loaded: LoadedRun) -> Iterator[dict[str, Any]]:
    standing = loaded.standing
    if standing.reasons:
        yield _blocker(Whole.RUN, said(standing.reasons), loaded.run)
    for one in standing.blocking:
        yield _item_blocker(loaded, one)
    if not standing.is_ready and not standing.reasons and not standing.blocking:
        # The judge says no without a word: then so do we.
        yield _blocker(Whole.FAULT, _word(Whole.FAULT), loaded.run)


def _of_no_run(opened: Sequence[ChecklistRun]) -> Iterator[dict[str, Any]]:
    for run in opened:
        why = _word(Whole.OTHER_COMMIT, git_sha=run.git_sha)
        yield _blocker(Whole.OTHER_COMMIT, why, run)
    if not opened:
        yield _blocker(Whole.NO_RUN, _word(Whole.NO_RUN))


def _item_blocker(loaded: LoadedRun, one: ItemStanding) -> dict[str, Any]:
    item = loaded.item(one.key)
    return {
        "run": loaded.run.pk,
        "item": one.key,
        "title": item.title,
        "state": str(one.state),
        "reasons": said(one.reasons),
        "owner": item.owner.name if item.owner else item.owner_name,
    }


def _blocker(
    state: Whole, why: list[dict[str, str]], run: ChecklistRun | None = None
) -> dict[str, Any]:
    return {
        "run": run.pk if run else None,
        "item": "",
        "title": run.title or run.template_name if run else "",
        "state": str(state),
        "reasons": why,
        "owner": run.opened_by_name if run else "",
    }


def _word(state: Whole, **values: str) -> list[dict[str, str]]:
    with source_language():
        return [{"code": str(state), "detail": str(_WORDS[state]) % values}]


def _waived(loaded: LoadedRun) -> Iterator[Passed]:
    for one in loaded.standing.items:
        if one.state is State.WAIVED and one.waiver is not None:
            title = loaded.item(one.key).title
            yield Passed(loaded.run.pk, one.key, title, one.waiver)


def _keep(
    asked: _Asked, run_id: int | None, blockers: Sequence[Mapping[str, Any]]
) -> GateDecision:
    """Write a decision down; the chain gets each pass, and each block that is news."""
    verdict = GateDecision.Verdict.BLOCK if blockers else GateDecision.Verdict.PASS
    about = {
        "service_slug": asked.service.slug,
        "environment": asked.environment,
        "git_sha": asked.sha,
    }
    before = GateDecision.objects.filter(**about).order_by("-pk").first()
    row = GateDecision.objects.create(
        **about,
        run_id=run_id,
        verdict=verdict,
        reasons=list(blockers),
        decided_at=asked.now,
        caller=asked.caller.name,
        key_id=(
            asked.caller.chained.id
            if asked.caller.chained.kind == audit.ActorKind.KEY
            else ""
        ),
    )
    is_news = before is None or before.verdict != verdict
    if is_news or verdict == GateDecision.Verdict.PASS:
        audit.append(
            action=f"gate.{'passed' if verdict == 'pass' else 'blocked'}",
            subject=f"run:{run_id}" if run_id else f"service:{asked.service.slug}",
            actor=asked.caller.chained,
            details={
                "decision": row.pk,
                "service": asked.service.slug,
                "environment": asked.environment,
                "git_sha": asked.sha,
                "blocking": [one["item"] or one["state"] for one in blockers],
            },
            now=asked.now,
        )
    return row
