"""What is read of runs: as many queries for many runs and items as for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import Group, Permission, User
from django.db.models import F, Q, QuerySet

from checklists.models import ChecklistRun, Evidence, RunItem, SignOff, Waiver
from checklists.standing import (
    EvidenceFacts,
    ItemFacts,
    ItemStanding,
    PersonFacts,
    RunFacts,
    RunStanding,
    SignatureFacts,
    WaiverFacts,
    judge,
    why_not_approve,
    why_not_sign,
)
from incidents import people

PAST_RUNS = 50


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
    """Return runs, newest first, with all that their pages need; nine queries."""
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


def past_runs(*, limit: int = PAST_RUNS) -> list[ChecklistRun]:
    """Return the runs that ended last, without how they stood."""
    return list(
        ChecklistRun.objects.exclude(state=ChecklistRun.State.OPEN)
        .select_related("service", "template_version")
        .order_by("-ended_at", "-pk")[:limit]
    )


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
    """Return what accounts may do now, by number; four queries."""
    users = {user.pk: user for user in User.objects.filter(pk__in=user_ids)}
    groups: dict[int, set[str]] = defaultdict(set)
    members = Group.objects.filter(user__in=user_ids).values_list("user", "name")
    for user_id, name in members:
        groups[user_id].add(name)
    signers = _allowed(users.values(), "sign")
    waivers = _allowed(users.values(), "waive")
    return {
        user.pk: PersonFacts(
            user_id=user.pk,
            name=people.name(user=user),
            is_active=user.is_active,
            may_sign=user.pk in signers,
            may_waive=user.pk in waivers,
            groups=frozenset(groups[user.pk]),
        )
        for user in users.values()
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
        ).order_by("pk")
    )
    persons = person_facts({row.user_id for row in signed})
    signatures: dict[int, list[SignatureFacts]] = defaultdict(list)
    for row in signed:
        signatures[row.item_id].append(_signature(row, persons[row.user_id]))
    return {
        run.pk: RunFacts(
            id=run.pk,
            service=run.service.slug,
            environment=run.environment,
            git_sha=run.git_sha,
            is_open=run.is_open,
            opened_by_id=run.opened_by_id,
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
    present = (
        Evidence.objects.standing()
        .filter(
            item__in=item_ids,
            item_revision=F("item__revision"),
            git_sha=F("item__run__git_sha"),
        )
        .defer("file")
    )
    is_verification = Q(kind=Evidence.Kind.VERIFICATION)
    last = (
        present.filter(is_verification)
        .order_by("item", "-pk")
        .distinct("item")
        .values("pk")
    )
    found: dict[int, list[EvidenceFacts]] = defaultdict(list)
    for row in present.filter(~is_verification | Q(pk__in=last)).order_by("pk"):
        found[row.item_id].append(_evidence(row))
    return found


def _evidence(row: Evidence) -> EvidenceFacts:
    return EvidenceFacts(
        id=row.pk,
        kind=row.kind,
        title=row.title,
        payload=row.payload,
        url=row.url,
        file_name=row.file_name,
        sha256=row.sha256,
        basis=row.basis_sha256,
        verdict=row.verdict,
        captured_at=row.captured_at,
        captured_by_id=row.captured_by_id,
        captured_by_name=row.captured_by_name,
    )


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


def _signature(row: SignOff, signer: PersonFacts) -> SignatureFacts:
    return SignatureFacts(
        id=row.pk,
        signer=signer,
        printed_name=row.printed_name,
        role=row.role,
        meaning=row.meaning,
        statement=row.statement,
        statement_hash=row.statement_hash,
        comment=row.comment,
        signed_at=row.signed_at,
        auth_method=row.auth_method,
        auth_at=row.auth_at,
        waiver_id=row.waiver_id,
    )


def _allowed(users: Iterable[User], codename: str) -> frozenset[int]:
    """Return the numbers of those who have a permission of this app, admins included."""
    permission = Permission.objects.filter(
        content_type__app_label="checklists", codename=codename
    )
    active = [user for user in users if user.is_active]
    having: QuerySet[User] = User.objects.filter(
        Q(user_permissions__in=permission) | Q(groups__permissions__in=permission),
        pk__in=[user.pk for user in active],
    )
    admins = {user.pk for user in active if user.is_superuser}
    return frozenset(admins | set(having.values_list("pk", flat=True)))
