"""What somebody signs: one exact version of an item, and its hash. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from checklists.canonical import digest
from checklists.facts import EvidenceFacts, ItemFacts, RunFacts, WaiverFacts

STATEMENT_FORM = 1


def counting(evidence: Iterable[EvidenceFacts]) -> tuple[EvidenceFacts, ...]:
    """Return the evidence that a signature rests on, oldest first.

    Of verifications the last one; of payloads the last one of each title, since a
    program that tries again sends what replaces the one before. By number, because a
    clock may have been set back.
    """
    kept: dict[tuple[Any, ...], EvidenceFacts] = {}
    for one in sorted(evidence, key=lambda each: each.id):
        match one.kind:
            case "verification":
                kept[(one.kind,)] = one
            case "ci_payload":
                kept[(one.kind, one.title)] = one
            case _:
                kept[(one.kind, one.id)] = one
    return tuple(sorted(kept.values(), key=lambda each: each.id))


def statement(
    run: RunFacts,
    item: ItemFacts,
    *,
    meaning: str,
    waiver: WaiverFacts | None = None,
) -> dict[str, Any]:
    """Return what somebody signs. Whatever changes in it makes the signature stale.

    A waiver says that the release goes without the proof, so it rests on no evidence.
    """
    bases = () if waiver else _bases(counting(item.evidence))
    said = _statement(_signed_version(run, item), bases, meaning)
    if waiver is not None:
        said["waiver"] = {
            "id": waiver.id,
            "reason": waiver.reason,
            "risk": waiver.risk,
            "compensating_control": waiver.compensating_control,
            "expires_at": waiver.expires_at,
        }
    return said


def statement_digest(
    run: RunFacts,
    item: ItemFacts,
    counted: Sequence[EvidenceFacts],
    *,
    meaning: str,
) -> str:
    """Return the hash of `statement`, without a waiver; `counted` is what counts."""
    return _digest_of(_signed_version(run, item), _bases(counted), meaning)


# --- Inside -------------------------------------------------------------------------------


class _SignedVersion(NamedTuple):
    """The one exact version of an item that somebody signs."""

    run: int
    item: str
    revision: int
    content_hash: str
    service: str
    environment: str
    git_sha: str


def _signed_version(run: RunFacts, item: ItemFacts) -> _SignedVersion:
    return _SignedVersion(
        run=run.id,
        item=item.key,
        revision=item.revision,
        content_hash=item.content_hash,
        service=run.service,
        environment=run.environment,
        git_sha=run.git_sha,
    )


def _bases(counted: Iterable[EvidenceFacts]) -> tuple[str, ...]:
    return tuple(sorted(one.basis for one in counted))


def _statement(
    version: _SignedVersion, bases: tuple[str, ...], meaning: str
) -> dict[str, Any]:
    return {
        "version": STATEMENT_FORM,
        **version._asdict(),
        "evidence": list(bases),
        "meaning": meaning,
    }


# A page asks for the same ones at each refresh.
@lru_cache(maxsize=16_384)
def _digest_of(version: _SignedVersion, bases: tuple[str, ...], meaning: str) -> str:
    return digest(_statement(version, bases, meaning))
