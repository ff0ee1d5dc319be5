"""Keeps the evidence of open runs live: what is due is claimed, looked at, kept.

A look may take a minute and asks hosts, so it runs outside any transaction, under a
lease that ends when its process dies. What it finds is the engine's evidence, whoever
pressed the button: pressing it makes nobody a party to the proof.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from checklists.actors import engine
from checklists.canonical import digest, plain
from checklists.models import ChecklistRun, Evidence, RunItem
from checklists.services import Refused
from checklists.services.evidence import last_finding, record_finding
from checklists.standing import AHEAD
from checklists.verifiers import registry
from checklists.verifiers.base import Finding, Subject

logger = logging.getLogger(__name__)

# How often an open run's items are looked at.
EVERY = timedelta(minutes=5)
# What is found again the same is kept again after this, or a quarter of its validity:
# evidence is never deleted, so it must not grow with every look.
KEPT_AGAIN_AFTER = timedelta(minutes=15)
# Nobody else begins meanwhile: the slowest look waits for its turn and its host.
LEASE = timedelta(minutes=3)
# A cycle that has taken this long claims no more; the next tick goes on.
_CYCLE = timedelta(seconds=45)
_ENGINE = "verifier"

# The next look is planned with the claim, so that whoever wants one sooner while this one
# goes on (a new commit, a reopening, a button) is not overwritten by its end.
_CLAIM = """
UPDATE checklists_runitem item
   SET lease_until = %(until)s, next_verify_at = %(next)s
 WHERE item.id = (
    SELECT due.id FROM checklists_runitem due
      JOIN checklists_checklistrun run ON run.id = due.run_id
     WHERE run.state = 'open'
       -- Later than anybody plans: from before the clock was set back.
       AND (due.next_verify_at <= %(now)s OR due.next_verify_at > %(never)s)
       AND (due.lease_until IS NULL OR due.lease_until <= %(now)s
            OR due.lease_until > %(never)s)
     ORDER BY due.next_verify_at, due.id
     LIMIT 1
       FOR UPDATE OF due SKIP LOCKED)
RETURNING item.id, item.run_id
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is looked at: an item and its run as they are, and what was found last."""

    item: RunItem
    run: ChecklistRun
    last: Evidence | None

    @property
    def subject(self) -> Subject:
        return Subject(
            run_id=self.run.pk,
            service_id=self.run.service_id,
            service_slug=self.run.service.slug,
            environment=self.run.environment,
            git_sha=self.run.git_sha,
            deployment=self.run.deployment,
            opened_at=self.run.opened_at,
        )


def verify(*, run_id: int, item_id: int, now: datetime) -> Evidence:
    """Look at one item at once and keep what was found; wait for it up to a minute.

    Raises Refused for a run that is over, an item of another run, one that nobody can
    verify but a person, and one that became another meanwhile.
    """
    asked = _load(run_id, item_id)
    if asked is None:
        raise Refused(
            "foreign_item", _("This item belongs to another run. Open that one.")
        )
    if not asked.run.is_open:
        raise Refused(
            "run_over",
            _("This run is over, so nothing in it changes any more. Open a new run."),
        )
    if asked.item.kind != RunItem.Kind.RULE:
        raise Refused(
            "not_verifiable",
            _("The portal can't look at this itself. Add evidence and sign it."),
        )
    return _keep(asked, _look(asked, now), now)


def verify_due(*, now: datetime) -> int:
    """Look at the items that are due, of any open run; return how many.

    Any number of engines may call it at once. An item that fails stops no other.
    """
    count = 0
    began = timezone.now()
    while timezone.now() - began < _CYCLE:
        claimed = _claim(now)
        if claimed is None:
            break
        try:
            _verify_claimed(*claimed, now)
        except Exception:
            # It is looked at again in its turn.
            logger.exception("item %s of run %s was not verified", *claimed)
        count += 1
    return count


def _claim(now: datetime) -> tuple[int, int] | None:
    """Take the item that has waited longest; return its number and its run's."""
    with connection.cursor() as cursor:
        moments = {"now": now, "until": now + LEASE, "next": now + EVERY}
        cursor.execute(_CLAIM, moments | {"never": now + EVERY + AHEAD})
        found: tuple[int, int] | None = cursor.fetchone()
        return found


def _verify_claimed(item_id: int, run_id: int, now: datetime) -> None:
    asked = _load(run_id, item_id)
    if asked is None:
        return
    found = _look(asked, now)
    try:
        if not _is_known(asked, found, now):
            _keep(asked, found, now)
    except Refused as refused:
        # Moved, reopened or over since: it is due again already, or never.
        logger.info("item %s was not kept: %s", item_id, refused.code)
        return
    _release(item_id)


def _load(run_id: int, item_id: int) -> _Asked | None:
    item = (
        RunItem.objects.filter(run=run_id, pk=item_id)
        .select_related("run__service")
        .first()
    )
    if item is None:
        return None
    last = last_finding(item, item.run.git_sha)
    return _Asked(item=item, run=item.run, last=last)


def _look(asked: _Asked, now: datetime) -> Finding:
    item = asked.item
    return registry.look(item.verifier, asked.subject, item.parameters, now=now)


def _keep(asked: _Asked, found: Finding, now: datetime) -> Evidence:
    return record_finding(
        run_id=asked.run.pk,
        item_id=asked.item.pk,
        revision=asked.item.revision,
        git_sha=asked.run.git_sha,
        finding=found,
        actor=engine(_ENGINE),
        now=now,
        seen=asked.last.pk if asked.last else 0,
    )


def _is_known(asked: _Asked, found: Finding, now: datetime) -> bool:
    """Whether the last evidence says the same and is young enough to go on saying it."""
    last = asked.last
    if (
        last is None
        or not now - _kept_again_after(asked.item) < last.captured_at <= now
    ):
        return False
    return _gist(
        last.verdict, last.payload["code"], last.payload["looked_at"]
    ) == _gist(found.verdict, found.code, plain(found.looked_at))


def _gist(verdict: str, code: str, looked_at: object) -> str:
    return digest({"verdict": verdict, "code": code, "looked_at": looked_at})


def _kept_again_after(item: RunItem) -> timedelta:
    if item.valid_for_s is None:
        return KEPT_AGAIN_AFTER
    return min(KEPT_AGAIN_AFTER, timedelta(seconds=item.valid_for_s) / 4)


def _release(item_id: int) -> None:
    """End the lease; a run that has ended meanwhile has none."""
    RunItem.objects.filter(pk=item_id, run__state=ChecklistRun.State.OPEN).update(
        lease_until=None
    )
