"""What is known of a run when it is judged. Plain values, no rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class EvidenceFacts:
    """One proof that nobody withdrew, of the item's revision and the run's commit."""

    id: int
    kind: str
    title: str
    payload: Mapping[str, Any]
    url: str
    file_name: str
    sha256: str
    basis: str
    verdict: str
    captured_at: datetime
    captured_by_id: int | None
    captured_by_name: str


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """What an account may do now."""

    user_id: int
    name: str
    is_active: bool
    may_sign: bool
    may_waive: bool
    groups: frozenset[str]

    def holds(self, role: str) -> bool:
        """Whether somebody is in the group that an item asks for. Admins are not."""
        return not role or role in self.groups


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """One signature that is neither revoked nor superseded."""

    id: int
    signer: PersonFacts
    printed_name: str
    role: str
    meaning: str
    statement: Mapping[str, Any]
    statement_hash: str
    comment: str
    signed_at: datetime
    auth_method: str
    auth_at: datetime
    waiver_id: int | None = None


@dataclass(frozen=True, slots=True)
class WaiverFacts:
    """One waiver that has not ended."""

    id: int
    revision: int
    git_sha: str
    reason: str
    risk: str
    compensating_control: str
    requested_by_id: int
    requested_by_name: str
    requested_at: datetime
    approved_by_id: int | None
    approved_by_name: str
    approved_at: datetime | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What an item asks for, and what there is."""

    id: int
    key: str
    kind: str
    revision: int
    content_hash: str
    required_role: str
    signatures_required: int
    forbid_self: bool
    evidence_required: bool
    valid_for_s: int | None
    is_blocking: bool
    evidence: Sequence[EvidenceFacts] = ()
    signatures: Sequence[SignatureFacts] = ()
    waiver: WaiverFacts | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run with its items, in their order."""

    id: int
    service: str
    environment: str
    git_sha: str
    is_open: bool
    opened_by_id: int | None
    # Who brought the present commit, when it is not the first one.
    moved_by_id: int | None
    deadline: datetime | None
    items: Sequence[ItemFacts]
