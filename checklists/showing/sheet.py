"""What the sheet of an item is made of: all that a signer reads before signing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _

from checklists import reasons
from checklists.facts import EvidenceFacts, PersonFacts, WaiverFacts
from checklists.models import ChecklistRun, Evidence, RunItem, SignOff
from checklists.queries import LoadedRun
from checklists.showing import states
from checklists.showing.lines import Line, evidence_words, line_of
from checklists.showing.run_page import name_of
from checklists.standing import Reason, SignatureStanding, why_not_approve, why_not_sign

May = Callable[[str], bool]

ADD_EVIDENCE = "checklists.add_evidence"
CHANGE_EVIDENCE = "checklists.change_evidence"
CHANGE_RUN = "checklists.change_checklistrun"
SIGN = "checklists.sign"
WAIVE = "checklists.waive"
# Of what counts no more, the newest.
FORMER_COUNT = 20


@dataclass(frozen=True, slots=True)
class Proof:
    """One evidence."""

    words: str
    # Of a note: what was written.
    text: str
    kind: str
    look: str
    url: str
    file_url: str
    at: datetime
    who: str
    sha256: str
    # Empty: nobody withdraws it, or not this reader.
    withdraw_url: str


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature that is neither revoked nor superseded."""

    name: str
    meaning: str
    role: str
    at: datetime
    hash: str
    comment: str
    is_valid: bool
    why: str
    revoke_url: str


@dataclass(frozen=True, slots=True)
class Former:
    """A signature that was taken back or replaced."""

    name: str
    meaning: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """One item with all that is known of it, and what this reader may do."""

    run: ChecklistRun
    run_name: str
    item: RunItem
    line: Line
    base: str
    section: str
    help: str
    valid_for: int | None
    needed: int
    have: int
    evidence: Sequence[Proof]
    signatures: Sequence[Signature]
    former: Sequence[Former]
    waiver: WaiverFacts | None
    # What a signer sends back, so that nobody signs what has changed meanwhile.
    seen: str
    reader: str
    may_sign: bool
    why_not_sign: str
    may_approve: bool
    why_not_approve: str
    may_end_waiver: bool
    may_ask_waiver: bool
    may_add_evidence: bool
    may_verify: bool
    may_change: bool
    needs_password: bool


def sheet(
    *,
    loaded: LoadedRun,
    item: RunItem,
    former: Iterable[SignOff],
    reader: PersonFacts,
    may: May,
    is_confirmed: bool,
    now: datetime,
) -> Sheet:
    """Return the sheet of an item of a run for a reader."""
    run, standing = loaded.run, loaded.standing.of(item.key)
    facts, waiver = standing.item, standing.waiver
    run_url = reverse("checklists:run", args=[run.pk])
    base = f"{run_url}items/{item.key}/"
    not_sign = why_not_sign(loaded.facts, facts, reader, now)
    is_pending = waiver is not None and waiver.approved_by_id is None
    not_approve = (
        why_not_approve(loaded.facts, facts, waiver, reader)
        if waiver is not None and is_pending
        else None
    )
    may_waive = run.is_open and may(WAIVE)
    return Sheet(
        run=run,
        run_name=name_of(run),
        item=item,
        line=line_of(item, standing, base=run_url),
        base=base,
        section=states.in_language(item.section_title, item.section_title_fr),
        help=states.in_language(item.help, item.help_fr),
        valid_for=item.valid_for_s,
        needed=standing.needed,
        have=len({one.signer.user_id for one in standing.valid_signatures}),
        evidence=[
            _proof(one, base, may_withdraw=run.is_open and may(CHANGE_EVIDENCE))
            for one in reversed(standing.evidence)
        ],
        signatures=[
            _signature(one, base, may_revoke=_may_revoke(run, one, reader, may))
            for one in standing.signatures
        ],
        former=[_former(row) for row in former],
        waiver=waiver,
        seen=standing.seen,
        reader=reader.name,
        may_sign=run.is_open and not_sign is None,
        why_not_sign=_said(not_sign),
        may_approve=is_pending and may_waive and not_approve is None,
        why_not_approve=_said(not_approve),
        may_end_waiver=waiver is not None and may_waive,
        may_ask_waiver=waiver is None and may_waive and not standing.passes,
        may_add_evidence=run.is_open and may(ADD_EVIDENCE),
        may_verify=run.is_open and item.kind == RunItem.Kind.RULE and may(ADD_EVIDENCE),
        may_change=run.is_open and may(CHANGE_RUN),
        needs_password=not is_confirmed,
    )


def former_signatures(item: RunItem) -> list[SignOff]:
    """Return what was signed on an item and counts no more, newest first."""
    rows = SignOff.objects.filter(item=item).select_related("superseded_by")
    return list(
        rows.exclude(revoked_at=None, superseded_at=None).order_by("-pk")[:FORMER_COUNT]
    )


def _may_revoke(
    run: ChecklistRun, one: SignatureStanding, reader: PersonFacts, may: May
) -> bool:
    is_own = one.signature.signer.user_id == reader.user_id
    return run.is_open and (is_own or may(CHANGE_RUN))


def _proof(evidence: EvidenceFacts, base: str, *, may_withdraw: bool) -> Proof:
    is_brought = evidence.kind != Evidence.Kind.VERIFICATION
    is_note = evidence.kind == Evidence.Kind.NOTE
    return Proof(
        words=evidence_words(evidence),
        text=str(evidence.payload.get("text", ""))
        if is_note and evidence.title
        else "",
        kind=str(Evidence.Kind(evidence.kind).label),
        look=states.VERDICT_LOOKS.get(evidence.verdict, ""),
        url=evidence.url,
        file_url=(
            f"{base}evidence/{evidence.id}/file/"
            if evidence.kind == Evidence.Kind.FILE
            else ""
        ),
        at=evidence.captured_at,
        who=evidence.captured_by_name,
        sha256=evidence.sha256,
        withdraw_url=(
            f"{base}evidence/{evidence.id}/withdraw/"
            if is_brought and may_withdraw
            else ""
        ),
    )


def _signature(one: SignatureStanding, base: str, *, may_revoke: bool) -> Signature:
    signature = one.signature
    return Signature(
        name=signature.printed_name,
        meaning=str(SignOff.Meaning(signature.meaning).label),
        role=signature.role,
        at=signature.signed_at,
        hash=signature.statement_hash,
        comment=signature.comment,
        is_valid=one.is_valid,
        why=" ".join(reasons.words(reason) for reason in one.reasons),
        revoke_url=f"{base}signatures/{signature.id}/revoke/" if may_revoke else "",
    )


def _former(row: SignOff) -> Former:
    if row.revoked_at is not None:
        why = _("Revoked by %(name)s: %(reason)s") % {
            "name": row.revoked_by_name,
            "reason": row.revoked_reason,
        }
    else:
        why = _("Replaced by a later signature of the same person.")
    return Former(
        row.printed_name, str(SignOff.Meaning(row.meaning).label), row.signed_at, why
    )


def _said(reason: Reason | None) -> str:
    return reasons.words(reason) if reason else ""
