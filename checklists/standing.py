"""How a run stands: the one judge for pages, API, gate, reminders and print.

Whether a sign-off counts is computed here from what it rests on, never stored. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from checklists.canonical import digest
from checklists.facts import (
    EvidenceFacts,
    ItemFacts,
    PersonFacts,
    RunFacts,
    SignatureFacts,
    WaiverFacts,
)
from checklists.statements import counting, statement, statement_digest

# What is dated later than this after now was written by a clock that was set back.
AHEAD = timedelta(minutes=1)
# The portal looks every 5 minutes and keeps what it finds at least every 15. When it has
# kept nothing for so long, nobody knows any more.
LOOKED_WITHIN = timedelta(minutes=45)


class State(StrEnum):
    """How one item stands; only the first two let a release pass."""

    MET = "met"
    WAIVED = "waived"
    WAITING = "waiting"
    STALE = "stale"
    FAILED = "failed"
    NOT_CONNECTED = "not_connected"
    UNKNOWN = "unknown"


PASSING = frozenset({State.MET, State.WAIVED})
_VERDICTS = {
    "failed": State.FAILED,
    "not_connected": State.NOT_CONNECTED,
    "unknown": State.UNKNOWN,
}
# Of several, the one that people should read first.
_WORST = (State.FAILED, State.NOT_CONNECTED, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something doesn't count; `checklists.reasons` has the words."""

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)


# --- Standing -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignatureStanding:
    """A signature and why it doesn't count; no reasons: it does."""

    signature: SignatureFacts
    reasons: tuple[Reason, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether it counts."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class ItemStanding:
    """How an item stands and why.

    `seen` is the hash of what a signer reads; a signature sends it back, so that nobody
    signs what has changed meanwhile. `valid_until`: when time alone would undo it,
    while the portal goes on looking.
    """

    key: str
    item: ItemFacts
    state: State
    reasons: tuple[Reason, ...]
    signatures: tuple[SignatureStanding, ...]
    needed: int
    evidence: tuple[EvidenceFacts, ...]
    age_s: int | None
    waiver: WaiverFacts | None
    seen: str
    valid_until: datetime | None

    @property
    def passes(self) -> bool:
        """Whether a release may go by it."""
        return self.state in PASSING

    @property
    def valid_signatures(self) -> tuple[SignatureFacts, ...]:
        """The signatures that count."""
        return tuple(one.signature for one in self.signatures if one.is_valid)


@dataclass(frozen=True, slots=True)
class RunStanding:
    """How a run stands. `reasons`: what closes it as a whole, whatever its items say."""

    items: tuple[ItemStanding, ...]
    is_ready: bool
    reasons: tuple[Reason, ...]
    blocking: tuple[ItemStanding, ...]
    met_count: int
    total_count: int
    valid_until: datetime | None

    def of(self, key: str) -> ItemStanding:
        """Return the item of this key; raises KeyError."""
        for one in self.items:
            if one.key == key:
                return one
        raise KeyError(key)


def judge(run: RunFacts, now: datetime) -> RunStanding:
    """Say how a run stands at `now`.

    Ready: open, before its deadline, and every blocking item met or waived; there has
    to be one.
    """
    items = tuple(judge_item(run, item, now) for item in run.items)
    demanded = [one for one in items if one.item.is_blocking]
    blocking = tuple(one for one in demanded if not one.passes)
    reasons = tuple(_whole_run(run, demanded, now))
    is_ready = not blocking and not reasons
    ends = [one.valid_until for one in demanded if one.valid_until]
    if run.deadline is not None:
        ends.append(run.deadline)
    return RunStanding(
        items=items,
        is_ready=is_ready,
        reasons=reasons,
        blocking=blocking,
        met_count=sum(one.passes for one in items),
        total_count=len(items),
        valid_until=min(ends) if is_ready and ends else None,
    )


def judge_item(run: RunFacts, item: ItemFacts, now: datetime) -> ItemStanding:
    """Say how one item of a run stands at `now`."""
    counted = counting(item.evidence)
    waiver_reasons = tuple(_waiver_reasons(run, item, now)) if item.waiver else ()
    is_waived = item.waiver is not None and not waiver_reasons
    signatures = tuple(
        SignatureStanding(
            signature, tuple(_signature_reasons(run, item, counted, signature, now))
        )
        for signature in item.signatures
        if signature.waiver_id is None
    )
    state, reasons = _state(item, counted, signatures, now)
    if is_waived and state is not State.MET:
        state, reasons = State.WAIVED, ()
    elif item.waiver and state is not State.MET:
        reasons = (*reasons, *waiver_reasons)
    return ItemStanding(
        key=item.key,
        item=item,
        state=state,
        reasons=reasons,
        signatures=signatures,
        needed=item.signatures_required,
        evidence=counted,
        age_s=_age_s(counted, now),
        waiver=item.waiver,
        seen=statement_digest(run, item, counted, meaning=""),
        valid_until=_valid_until(item, state, counted, signatures),
    )


def why_not_sign(
    run: RunFacts, item: ItemFacts, signer: PersonFacts, now: datetime
) -> Reason | None:
    """Return why somebody can't sign an item now, None when they can."""
    counted = counting(item.evidence)
    if not run.is_open:
        return Reason("run_over")
    if not signer.is_active or not signer.may_sign:
        return Reason("may_not_sign")
    if not signer.holds(item.required_role):
        return Reason("role_missing", {"role": item.required_role})
    if found := next(_evidence_reasons(item, counted, now), None):
        return found[1]
    if self_made := _self_made(run, item, counted, signer.user_id):
        return self_made
    for signature in item.signatures:
        is_own = signature.signer.user_id == signer.user_id
        if (
            is_own
            and signature.waiver_id is None
            and not any(_signature_reasons(run, item, counted, signature, now))
        ):
            return Reason("signed_already")
    return None


def why_not_approve(
    run: RunFacts, item: ItemFacts, waiver: WaiverFacts, approver: PersonFacts
) -> Reason | None:
    """Return why somebody can't be the second person of a waiver, None when they can."""
    if not run.is_open:
        return Reason("run_over")
    if not approver.is_active or not approver.may_waive:
        return Reason("may_not_waive")
    if not approver.holds(item.required_role):
        return Reason("role_missing", {"role": item.required_role})
    if approver.user_id == waiver.requested_by_id:
        return Reason("requested_it")
    return _released_it(run, approver.user_id) if item.forbid_self else None


# --- Inside -------------------------------------------------------------------------------


def _whole_run(
    run: RunFacts, demanded: Sequence[ItemStanding], now: datetime
) -> Iterator[Reason]:
    if not run.is_open:
        yield Reason("run_over")
    if run.deadline is not None and now >= run.deadline:
        yield Reason("deadline_passed", {"at": run.deadline})
    if not demanded:
        yield Reason("nothing_demanded")


def _state(
    item: ItemFacts,
    counted: tuple[EvidenceFacts, ...],
    signatures: tuple[SignatureStanding, ...],
    now: datetime,
) -> tuple[State, tuple[Reason, ...]]:
    found = list(_evidence_reasons(item, counted, now))
    for state in (*_WORST, State.STALE, State.WAITING):
        if any(one == state for one, _reason in found):
            return state, tuple(reason for one, reason in found if one == state)
    valid = {one.signature.signer.user_id for one in signatures if one.is_valid}
    if len(valid) >= item.signatures_required:
        return State.MET, ()
    missing = Reason(
        "signatures_missing",
        {
            "have": len(valid),
            "needed": item.signatures_required,
            "role": item.required_role,
        },
    )
    lapsed = tuple(reason for one in signatures for reason in one.reasons)
    return (State.STALE if lapsed else State.WAITING), (*lapsed, missing)


def _evidence_reasons(
    item: ItemFacts, counted: tuple[EvidenceFacts, ...], now: datetime
) -> Iterator[tuple[State, Reason]]:
    for one in counted:
        if one.verdict in _VERDICTS:
            values = {
                "evidence": one.id,
                "kind": one.kind,
                "title": one.title,
                "payload": one.payload,
            }
            yield _VERDICTS[one.verdict], Reason(f"evidence_{one.verdict}", values)
        if one.captured_at > now + AHEAD:
            yield State.UNKNOWN, Reason("evidence_ahead", {"evidence": one.id})
        if one.kind == "verification" and now - one.captured_at > LOOKED_WITHIN:
            yield State.UNKNOWN, Reason("not_looked_lately", {"at": one.captured_at})
    kinds = {one.kind for one in counted}
    if item.kind == "rule" and "verification" not in kinds:
        yield State.WAITING, Reason("not_verified")
    elif item.kind == "external" and "ci_payload" not in kinds:
        yield State.WAITING, Reason("payload_missing")
    elif item.evidence_required and not counted:
        yield State.WAITING, Reason("evidence_missing")
    if item.valid_for_s is not None:
        for one in counted:
            if now - one.captured_at >= timedelta(seconds=item.valid_for_s):
                values = {"evidence": one.id, "valid_for_s": item.valid_for_s}
                yield State.STALE, Reason("evidence_old", values)


def _signature_reasons(
    run: RunFacts,
    item: ItemFacts,
    counted: tuple[EvidenceFacts, ...],
    signature: SignatureFacts,
    now: datetime,
) -> Iterator[Reason]:
    named = {"name": signature.printed_name}
    known = statement_digest(run, item, counted, meaning=signature.meaning)
    if known != signature.statement_hash:
        present = statement(run, item, meaning=signature.meaning)
        changed = [
            name
            for name, value in present.items()
            if signature.statement.get(name) != value
        ]
        yield Reason("signed_other", {**named, "changed": changed})
    if run.is_open:
        # A run that is over stays as it was, whoever has left since.
        may_sign = signature.signer.may_sign
        yield from _signer_reasons(signature, item.required_role, may_sign)
    if self_made := _self_made(run, item, counted, signature.signer.user_id):
        yield Reason(self_made.code, named)
    if signature.signed_at > now + AHEAD:
        yield Reason("signed_ahead", named)
    if item.valid_for_s is not None:
        limit = timedelta(seconds=item.valid_for_s)
        if now - signature.signed_at >= limit:
            yield Reason("signed_long_ago", {**named, "valid_for_s": item.valid_for_s})


def _signer_reasons(
    signature: SignatureFacts, role: str, is_allowed: bool
) -> Iterator[Reason]:
    named = {"name": signature.printed_name}
    if not signature.signer.is_active:
        yield Reason("signer_inactive", named)
    elif not is_allowed:
        yield Reason("signer_may_no_more", named)
    if not signature.signer.holds(role):
        yield Reason("signer_lost_role", {**named, "role": role})


def _self_made(
    run: RunFacts,
    item: ItemFacts,
    counted: tuple[EvidenceFacts, ...],
    user_id: int,
) -> Reason | None:
    if not item.forbid_self:
        return None
    if released_it := _released_it(run, user_id):
        return released_it
    if any(one.captured_by_id == user_id for one in counted):
        return Reason("brought_evidence")
    return None


def _released_it(run: RunFacts, user_id: int) -> Reason | None:
    if user_id == run.opened_by_id:
        return Reason("opened_run")
    if user_id == run.moved_by_id:
        return Reason("moved_run")
    return None


def _waiver_reasons(run: RunFacts, item: ItemFacts, now: datetime) -> Iterator[Reason]:
    waiver = item.waiver
    if waiver is None:
        return
    if (waiver.revision, waiver.git_sha) != (item.revision, run.git_sha):
        yield Reason("waiver_of_other")
    if now >= waiver.expires_at:
        yield Reason("waiver_expired", {"at": waiver.expires_at})
    if waiver.requested_at > now + AHEAD:
        yield Reason("waiver_ahead")
    if waiver.approved_by_id is None:
        yield Reason("waiver_not_approved", {"name": waiver.requested_by_name})
        return
    demanded = {waiver.requested_by_id: "", waiver.approved_by_id: item.required_role}
    if len(demanded) != 2:
        yield Reason("waiver_by_one")
    signed = {
        one.signer.user_id: one
        for one in item.signatures
        if one.waiver_id == waiver.id
        and digest(statement(run, item, meaning=one.meaning, waiver=waiver))
        == one.statement_hash
    }
    for user_id, role in demanded.items():
        if user_id not in signed:
            yield Reason("waiver_not_signed")
            continue
        one = signed[user_id]
        if run.is_open:
            yield from _signer_reasons(one, role, one.signer.may_waive)


def _valid_until(
    item: ItemFacts,
    state: State,
    counted: tuple[EvidenceFacts, ...],
    signatures: tuple[SignatureStanding, ...],
) -> datetime | None:
    if state is State.WAIVED and item.waiver is not None:
        return item.waiver.expires_at
    if state is not State.MET or item.valid_for_s is None:
        return None
    # Of more signatures than needed, the oldest ones may lapse.
    signed = sorted(
        (one.signature.signed_at for one in signatures if one.is_valid), reverse=True
    )[: item.signatures_required]
    moments = [*signed, *(one.captured_at for one in counted)]
    return min(moments) + timedelta(seconds=item.valid_for_s)


def _age_s(counted: tuple[EvidenceFacts, ...], now: datetime) -> int | None:
    if not counted:
        return None
    newest = max(one.captured_at for one in counted)
    return max(0, int((now - newest).total_seconds()))
