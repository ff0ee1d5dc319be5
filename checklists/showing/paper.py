"""A run on paper: every signature with its time, meaning and hash, and how to verify it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TypeVar

from django.utils.translation import gettext as _

from checklists.auditing.checks import Seen, seen
from checklists.models import Evidence, RunItem, SignOff, Waiver
from checklists.queries import LoadedRun
from checklists.showing import states
from checklists.showing.lines import evidence_words, title_of, why
from checklists.showing.run_page import headline, look_of, name_of
from checklists.standing import State
from t4g_portal.lib.audit.models import AuditEntry

Row = TypeVar("Row", SignOff, Waiver)


@dataclass(frozen=True, slots=True)
class PaperItem:
    """One item with everything that was ever signed on it."""

    number: str
    item: RunItem
    title: str
    word: str
    look: str
    why: str
    evidence: Sequence[PaperProof]
    signatures: Sequence[PaperSignature]
    waivers: Sequence[Waiver]


@dataclass(frozen=True, slots=True)
class PaperProof:
    """A proof that counts."""

    words: str
    kind: str
    verdict: str
    at: datetime
    who: str
    sha256: str
    url: str


@dataclass(frozen=True, slots=True)
class PaperSignature:
    """A signature, and whether it counts now."""

    row: SignOff
    is_valid: bool
    # Revoked, replaced or stale; empty for one that counts.
    word: str


@dataclass(frozen=True, slots=True)
class PaperSection:
    """Items under a heading."""

    title: str
    items: Sequence[PaperItem]


@dataclass(frozen=True, slots=True)
class Paper:
    """The whole document."""

    loaded: LoadedRun
    name: str
    look: str
    headline: str
    sections: Sequence[PaperSection]
    signature_count: int
    # The last entry of the audit chain about this run, and how the chain stands.
    entry: AuditEntry | None
    chain: Seen


def paper(loaded: LoadedRun) -> Paper:
    """Return a run as a document, in a fixed number of queries."""
    numbers = [item.pk for item in loaded.items]
    signed = _by_item(
        SignOff.objects.filter(item__in=numbers)
        .select_related("revoked_by", "waiver")
        .order_by("pk")
    )
    waived = _by_item(Waiver.objects.filter(item__in=numbers).order_by("pk"))
    lines = [
        (item, _item(number, item, loaded, signed, waived))
        for number, item in enumerate(loaded.items, start=1)
    ]
    sections = [
        PaperSection(title, [line for _item_row, line in found])
        for (_place, title), found in groupby(lines, key=lambda pair: _heading(pair[0]))
    ]
    entries = AuditEntry.objects.filter(subject=loaded.run.subject)
    return Paper(
        loaded=loaded,
        name=name_of(loaded.run),
        look=look_of(loaded.run, loaded.standing),
        headline=headline(loaded.run, loaded.standing),
        sections=sections,
        signature_count=sum(map(len, signed.values())),
        entry=entries.order_by("-seq").first(),
        chain=seen(),
    )


def _item(
    number: int,
    item: RunItem,
    loaded: LoadedRun,
    signed: Mapping[int, Sequence[SignOff]],
    waived: Mapping[int, Sequence[Waiver]],
) -> PaperItem:
    standing = loaded.standing.of(item.key)
    valid = {signature.id for signature in standing.valid_signatures}
    # One that nobody approved, or that has lapsed, lets nothing pass.
    is_waived = standing.state is State.WAIVED
    waiver = standing.waiver.id if standing.waiver and is_waived else None
    return PaperItem(
        number=str(number),
        item=item,
        title=title_of(item),
        word=str(states.WORDS[standing.state]),
        look=states.LOOKS[standing.state],
        why=why(standing),
        evidence=[
            PaperProof(
                words=evidence_words(one),
                kind=str(Evidence.Kind(one.kind).label),
                verdict=str(Evidence.Verdict(one.verdict).label) if one.verdict else "",
                at=one.captured_at,
                who=one.captured_by_name,
                sha256=one.sha256,
                url=one.url,
            )
            for one in standing.evidence
        ],
        signatures=[
            _signature(
                row,
                is_valid=(
                    row.pk in valid
                    if row.waiver_id is None
                    else row.waiver_id == waiver
                ),
            )
            for row in signed.get(item.pk, ())
        ],
        waivers=waived.get(item.pk, ()),
    )


def _signature(row: SignOff, *, is_valid: bool) -> PaperSignature:
    if row.revoked_at is not None:
        return PaperSignature(row, False, _("revoked"))
    if row.superseded_at is not None:
        return PaperSignature(row, False, _("replaced"))
    return PaperSignature(row, is_valid, "" if is_valid else _("stale"))


def _by_item(rows: Iterable[Row]) -> Mapping[int, Sequence[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.item_id].append(row)
    return found


def _heading(item: RunItem) -> tuple[int, str]:
    title = states.in_language(item.section_title, item.section_title_fr)
    return item.section_position, title
