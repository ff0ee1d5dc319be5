"""What the page of a run and the list of runs are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checklists import queries, reasons
from checklists.facts import PersonFacts
from checklists.models import ChecklistRun, RunItem
from checklists.queries import LoadedRun
from checklists.showing import states
from checklists.showing.lines import Line, line_of
from checklists.standing import RunStanding, State

# So many are shown before the rest is folded away: what waits for the reader comes next.
BLOCKING_COUNT = 5
CARD_BLOCKING_COUNT = 3


@dataclass(frozen=True, slots=True)
class Section:
    """Some items under a heading; folded when there is nothing to do."""

    title: str
    look: str
    lines: Sequence[Line]
    met_count: int
    total_count: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class RunPage:
    """A run, what stands first first."""

    run: ChecklistRun
    name: str
    look: str
    headline: str
    met_count: int
    total_count: int
    valid_until: datetime | None
    deployment_url: str
    # The first ones, and the rest of them.
    blocking: Sequence[Line]
    blocking_more: Sequence[Line]
    # What the reader may sign now.
    waiting: Sequence[Line]
    sections: Sequence[Section]


@dataclass(frozen=True, slots=True)
class RunCard:
    """A run in the list of open ones."""

    run: ChecklistRun
    name: str
    look: str
    word: str
    met_count: int
    total_count: int
    valid_until: datetime | None
    blocking: Sequence[Line]
    more_count: int


def run_page(*, loaded: LoadedRun, reader: PersonFacts, now: datetime) -> RunPage:
    """Return the page of a run for a reader."""
    run, standing = loaded.run, loaded.standing
    base = reverse("checklists:run", args=[run.pk])
    by_key = {one.key: one for one in standing.items}
    pairs = [
        (item, line_of(item, by_key[item.key], base=base)) for item in loaded.items
    ]
    lines = {item.key: line for item, line in pairs}
    blocking = (
        _most_urgent(lines[one.key] for one in standing.blocking) if run.is_open else []
    )
    return RunPage(
        run=run,
        name=name_of(run),
        look=look_of(run, standing),
        headline=headline(run, standing),
        met_count=standing.met_count,
        total_count=standing.total_count,
        valid_until=standing.valid_until,
        deployment_url=run.deployment if _is_address(run.deployment) else "",
        blocking=blocking[:BLOCKING_COUNT],
        blocking_more=blocking[BLOCKING_COUNT:],
        waiting=[
            lines[one.key]
            for one in standing.items
            if queries.awaited_act(loaded.facts, one, reader, now)
        ],
        sections=[
            _section([line for _item, line in group], title)
            for (_place, title), group in groupby(
                pairs, key=lambda pair: _heading(pair[0])
            )
        ],
    )


def run_card(loaded: LoadedRun) -> RunCard:
    """Return an open run for the list."""
    run, standing = loaded.run, loaded.standing
    base = reverse("checklists:run", args=[run.pk])
    by_key = {item.key: item for item in loaded.items}
    blocking = _most_urgent(
        line_of(by_key[one.key], one, base=base) for one in standing.blocking
    )
    return RunCard(
        run=run,
        name=name_of(run),
        look=look_of(run, standing),
        word=headline(run, standing),
        met_count=standing.met_count,
        total_count=standing.total_count,
        valid_until=standing.valid_until,
        blocking=blocking[:CARD_BLOCKING_COUNT],
        more_count=max(len(blocking) - CARD_BLOCKING_COUNT, 0),
    )


def name_of(run: ChecklistRun) -> str:
    """Return what a run is called: its own title, or its template's in the right language."""
    return states.in_language(run.template_name, run.template_name_fr)


def look_of(run: ChecklistRun, standing: RunStanding) -> str:
    """Return the look of a whole run."""
    if not run.is_open:
        return states.ENDED_LOOKS[run.state]
    if standing.is_ready:
        return "up"
    is_failed = any(one.state == State.FAILED for one in standing.blocking)
    return "down" if is_failed else "degraded"


def headline(run: ChecklistRun, standing: RunStanding) -> str:
    """Say in one sentence whether the release may go, and what is in its way."""
    if not run.is_open:
        return str(run.get_state_display())
    if standing.is_ready:
        return _("Ready: the gate is open")
    if standing.blocking:
        count = len(standing.blocking)
        return ngettext(
            "%(count)d item blocks the release",
            "%(count)d items block the release",
            count,
        ) % {"count": count}
    return " ".join(reasons.words(reason) for reason in standing.reasons)


def _most_urgent(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: states.ORDER[line.state])


def _section(lines: list[Line], title: str) -> Section:
    met = sum(line.state in (State.MET, State.WAIVED) for line in lines)
    demanded = [line for line in lines if not line.is_optional] or lines
    worst = min(demanded, key=lambda line: states.ORDER[line.state])
    return Section(
        title=title,
        look=worst.look,
        lines=lines,
        met_count=met,
        total_count=len(lines),
        is_open=met < len(lines),
    )


def _heading(item: RunItem) -> tuple[int, str]:
    title = states.in_language(item.section_title, item.section_title_fr)
    return item.section_position, title


def _is_address(text: str) -> bool:
    return text.startswith(("https://", "http://"))
