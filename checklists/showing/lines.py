"""An item of a run as a page shows it: what it asks, how it stands, why, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from checklists import reasons
from checklists.facts import EvidenceFacts
from checklists.models import RunItem, SignOff
from checklists.showing import states
from checklists.standing import ItemStanding, Reason, SignatureStanding, State
from checklists.verifiers import registry
from t4g_portal.lib import markdown

_EXCERPT = 120
_MEANINGS: Mapping[str, Any] = dict(SignOff.Meaning.choices)


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """A signature in a few words."""

    words: str
    at: datetime
    is_valid: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One item."""

    title: str
    url: str
    state: State
    look: str
    word: str
    # Why it doesn't let the release pass; empty when it does.
    why: str
    owner: str
    is_optional: bool
    # The proof that speaks for it, unless `why` says it, and when it was taken.
    evidence: str
    evidence_at: datetime | None
    signatures: tuple[SignatureLine, ...]
    # Whether what is asked of the reader is to decide on a waiver.
    is_waiver: bool


def line_of(item: RunItem, standing: ItemStanding, *, base: str) -> Line:
    """Return an item as a line; `base` is the address of its run's page."""
    proof = standing.evidence[-1] if standing.evidence else None
    said = why(standing)
    evidence = evidence_words(proof) if proof else ""
    return Line(
        title=title_of(item),
        url=f"{base}items/{item.key}/",
        state=standing.state,
        look=states.LOOKS[standing.state],
        word=str(states.WORDS[standing.state]),
        why=said,
        owner=item.owner_name,
        is_optional=not item.is_blocking,
        evidence="" if evidence and evidence in said else evidence,
        evidence_at=proof.captured_at if proof else None,
        signatures=tuple(signature_line(one) for one in standing.signatures),
        is_waiver=standing.waiver is not None
        and standing.waiver.approved_by_id is None,
    )


def title_of(item: RunItem) -> str:
    """Return what an item is called in the reader's language."""
    return states.in_language(item.title, item.title_fr)


def why(standing: ItemStanding) -> str:
    """Say why an item doesn't pass, in one or two short sentences."""
    if standing.passes:
        return ""
    said = [reason_words(reason) for reason in standing.reasons]
    return " ".join(dict.fromkeys(said))


def reason_words(reason: Reason) -> str:
    """Say a reason; of a proof that speaks against an item, what was found."""
    payload = reason.values.get("payload")
    found = finding_words(payload) if payload else ""
    return found or reasons.words(reason)


def evidence_words(evidence: EvidenceFacts) -> str:
    """Say a proof in a few words: what a verifier found, or what somebody called it."""
    if evidence.kind == "verification":
        return finding_words(evidence.payload)
    text = evidence.title or evidence.file_name or evidence.url
    if not text:
        text = markdown.to_words(str(evidence.payload.get("text", "")))
    return text if len(text) <= _EXCERPT else f"{text[: _EXCERPT - 1].rstrip()}…"


def finding_words(payload: Mapping[str, Any]) -> str:
    """Say what a verifier found; nothing for the payload of anybody else."""
    verifier, code = payload.get("verifier"), payload.get("code")
    if not isinstance(verifier, str) or not isinstance(code, str):
        return ""
    return registry.words(verifier, code, payload.get("values", {}))


def signature_line(one: SignatureStanding) -> SignatureLine:
    """Say who signed with which meaning."""
    signature = one.signature
    words = _("%(meaning)s by %(name)s") % {
        "meaning": _MEANINGS.get(signature.meaning, signature.meaning),
        "name": signature.printed_name,
    }
    return SignatureLine(words, signature.signed_at, one.is_valid)
