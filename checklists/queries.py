"""What is read of runs: as many queries for many runs and items as for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F, Q

from checklists.facts import (
    EvidenceFacts,
    ItemFacts,
    PersonFacts,
    RunFacts,
    SignatureFacts,
    WaiverFacts,
)
from checklists.models import ChecklistRun, Evidence, RunItem, SignOff, Waiver
from checklists.standing import (
    ItemStanding,
    RunStanding,
    judge,
    why_not_approve,
    why_not_sign,
)
from incidents import people

# By Django's models it would be four queries, on every page of a run twice.
_PERSONS = """
SELECT u.id, u.username, u.first_name, u.last_name, u.is_active, u.is_superuser,
       ARRAY(SELECT g.name FROM auth_user_groups m JOIN auth_group g ON g.id = m.group_id
              WHERE m.user_id = u.id),
       ARRAY(SELECT p.codename
               FROM auth_permission p
               JOIN django_content_type t ON t.id = p.content_type_id
              WHERE t.app_label = 'checklists' AND p.codename IN ('sign', 'waive')
                AND (EXISTS (SELECT 1 FROM auth_user_user_permissions own
                              WHERE own.user_id = u.id AND own.permission_id = p.id)
                  OR EXISTS (SELECT 1 FROM auth_group_permissions given
                               JOIN auth_user_groups m ON m.group_id = given.group_id
                              WHERE m.user_id = u.id AND given.permission_id = p.id)))
  FROM auth_user u
 WHERE u.id = ANY(%s)
"""
# In the order of the fields of EvidenceFacts and SignatureFacts.
_EVIDENCE = (
    *("pk", "kind", "title", "payload", "url", "file_name", "sha256", "basis_sha256"),
    *("verdict", "captured_at", "captured_by_id", "captured_by_name"),
)
_SIGNATURE = (
    *("printed_name", "role", "meaning", "statement", "statement_hash", "comment"),
    *("signed_at", "auth_method", "auth_at", "waiver_id"),
)


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run, its items in their order, the facts about it, and how it stands.

    A run that is over stands as it did when it ended.
    """

    run: ChecklistRun
    items: tuple[RunItem, ...]
    facts: RunFacts
    standing: RunStanding

    def item(self, key: str) -> RunItem:
        """Return the item of this key; raises RunItem.DoesNotExist."""
        for one in self.items:
            if one.key == key:
                return one
        raise RunItem.DoesNotExist(key)


@dataclass(frozen=True, slots=True)
class Pending:
    """An item that waits for somebody: to `sign` it, or to `approve` its waiver."""

    run: ChecklistRun
    item: RunItem
    standing: ItemStanding
    act: str


def load_run(run_id: int, *, now: datetime) -> LoadedRun:
    """Return a run with all that its page needs; raises ChecklistRun.DoesNotExist."""
    loaded = load_runs([run_id], now=now)
    if not loaded:
        raise ChecklistRun.DoesNotExist(run_id)
    return loaded[0]


def load_runs(run_ids: Collection[int], *, now: datetime) -> list[LoadedRun]:
    """Return runs, newest first, with all that their pages need; six queries."""
    runs = list(
        ChecklistRun.objects.filter(pk__in=run_ids)
        .select_related("service")
        .order_by("-opened_at", "-pk")
    )
    items = _items_of([run.pk for run in runs])
    facts = _facts(runs, items)
    return [
        LoadedRun(
            run=run,
            items=tuple(items[run.pk]),
            facts=facts[run.pk],
            standing=judge(facts[run.pk], min(now, run.ended_at or now)),
        )
        for run in runs
    ]


def open_runs(*, now: datetime) -> list[LoadedRun]:
    """Return all open runs, newest first."""
    opened = ChecklistRun.objects.filter(state=ChecklistRun.State.OPEN)
    return load_runs(list(opened.values_list("pk", flat=True)), now=now)


def run_facts(run_ids: Collection[int]) -> dict[int, RunFacts]:
    """Return the facts about runs, by number, in a fixed number of queries."""
    runs = list(ChecklistRun.objects.filter(pk__in=run_ids).select_related("service"))
    return _facts(runs, _items_of([run.pk for run in runs]))


def pending_for(user: User, *, now: datetime) -> list[Pending]:
    """Return what somebody can sign or approve now, oldest run first."""
    return pending_among(open_runs(now=now), user, now=now)


def pending_among(
    runs: Sequence[LoadedRun], user: User, *, now: datetime
) -> list[Pending]:
    """Return the same of runs that are loaded already, newest first."""
    person = person_facts([user.pk])[user.pk]
    return [
        Pending(loaded.run, loaded.item(one.key), one, act)
        for loaded in reversed(runs)
        for one in loaded.standing.items
        if (act := awaited_act(loaded.facts, one, person, now))
    ]


def awaited_act(
    run: RunFacts, one: ItemStanding, person: PersonFacts, now: datetime
) -> str:
    """Return what an item awaits of somebody: to `sign` it, to `approve` its waiver, or ""."""
    waiver = one.waiver
    if waiver is not None and waiver.approved_by_id is None and not one.passes:
        is_over = now >= waiver.expires_at
        if not is_over and why_not_approve(run, one.item, waiver, person) is None:
            return "approve"
    if one.passes or why_not_sign(run, one.item, person, now) is not None:
        return ""
    return "sign"


def person_facts(user_ids: Collection[int]) -> dict[int, PersonFacts]:
    """Return what accounts may do now, by number; one query."""
    if not user_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_PERSONS, [list(user_ids)])
        rows = cursor.fetchall()
    return {
        user_id: PersonFacts(
            user_id=user_id,
            name=people.name(
                user=User(username=username, first_name=first, last_name=last)
            ),
            is_active=is_active,
            # As in Django: an admin may all, an account that is switched off nothing.
            may_sign=is_active and (is_admin or "sign" in allowed),
            may_waive=is_active and (is_admin or "waive" in allowed),
            groups=frozenset(groups),
        )
        for (
            user_id,
            username,
            first,
            last,
            is_active,
            is_admin,
            groups,
            allowed,
        ) in rows
    }


# --- Inside -------------------------------------------------------------------------------


def _items_of(run_ids: Sequence[int]) -> dict[int, list[RunItem]]:
    found: dict[int, list[RunItem]] = {run_id: [] for run_id in run_ids}
    rows = RunItem.objects.filter(run__in=run_ids).select_related("owner")
    for row in rows.order_by("section_position", "position", "pk"):
        found[row.run_id].append(row)
    return found


def _facts(
    runs: Sequence[ChecklistRun], items: dict[int, list[RunItem]]
) -> dict[int, RunFacts]:
    numbers = [row.pk for rows in items.values() for row in rows]
    evidence = _evidence_of(numbers)
    waivers = {
        row.item_id: _waiver(row)
        for row in Waiver.objects.filter(item__in=numbers, ended_at__isnull=True)
    }
    signed = list(
        SignOff.objects.filter(
            item__in=numbers, revoked_at__isnull=True, superseded_at__isnull=True
        )
        .order_by("pk")
        .values_list("item_id", "pk", "user_id", *_SIGNATURE)
    )
    persons = person_facts({user_id for _item, _pk, user_id, *_rest in signed})
    signatures: dict[int, list[SignatureFacts]] = defaultdict(list)
    for item_id, pk, user_id, *rest in signed:
        signatures[item_id].append(SignatureFacts(pk, persons[user_id], *rest))
    return {
        run.pk: RunFacts(
            id=run.pk,
            service=run.service.slug,
            environment=run.environment,
            git_sha=run.git_sha,
            is_open=run.is_open,
            opened_by_id=run.opened_by_id,
            moved_by_id=run.moved_by_id,
            deadline=run.deadline,
            items=tuple(
                ItemFacts(
                    id=row.pk,
                    key=row.key,
                    kind=row.kind,
                    revision=row.revision,
                    content_hash=row.content_hash,
                    required_role=row.required_role,
                    signatures_required=row.signatures_required,
                    forbid_self=row.forbid_self,
                    evidence_required=row.evidence_required,
                    valid_for_s=row.valid_for_s,
                    is_blocking=row.is_blocking,
                    evidence=tuple(evidence[row.pk]),
                    signatures=tuple(signatures[row.pk]),
                    waiver=waivers.get(row.pk),
                )
                for row in items[run.pk]
            ),
        )
        for run in runs
    }


def _evidence_of(item_ids: Sequence[int]) -> dict[int, list[EvidenceFacts]]:
    """Return what counts: of verifications, which may be thousands, the last alone."""
    present = Evidence.objects.standing().filter(
        item__in=item_ids,
        item_revision=F("item__revision"),
        git_sha=F("item__run__git_sha"),
    )
    is_verification = Q(kind=Evidence.Kind.VERIFICATION)
    last = (
        present.filter(is_verification)
        .order_by("item", "-pk")
        .distinct("item")
        .values("pk")
    )
    found: dict[int, list[EvidenceFacts]] = defaultdict(list)
    rows = present.filter(~is_verification | Q(pk__in=last)).order_by("pk")
    for item_id, *values in rows.values_list("item_id", *_EVIDENCE):
        found[item_id].append(EvidenceFacts(*values))
    return found


def _waiver(row: Waiver) -> WaiverFacts:
    return WaiverFacts(
        id=row.pk,
        revision=row.item_revision,
        git_sha=row.git_sha,
        reason=row.reason,
        risk=row.risk,
        compensating_control=row.compensating_control,
        requested_by_id=row.requested_by_id,
        requested_by_name=row.requested_by_name,
        requested_at=row.requested_at,
        approved_by_id=row.approved_by_id,
        approved_by_name=row.approved_by_name,
        approved_at=row.approved_at,
        expires_at=row.expires_at,
    )
