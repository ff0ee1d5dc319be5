"""What a digest tells, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from kpis.digest.timing import Occasion
from kpis.showing.card import Card
from kpis.showing.comparing import Change


@dataclass(frozen=True, slots=True)
class Stretch:
    """A KPI over the week or month that a digest tells of."""

    # Against what the digest before told.
    change: Change
    # Of the periods within; None when there are too few to speak of.
    mean: Decimal | None = None
    mean_change: Change = field(default_factory=Change)


@dataclass(frozen=True, slots=True)
class Trouble:
    """An incident that was there since the digest before."""

    priority: str
    service: str
    title: str
    started_at: datetime
    opened_at: datetime
    resolved_at: datetime | None
    # Who has it, by name.
    holder: str


@dataclass(frozen=True, slots=True)
class Responses:
    """How fast people were, over the incidents that were opened since."""

    opened_count: int = 0
    mean_to_acknowledge: timedelta | None = None
    mean_to_resolve: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Digest:
    """All that is told, to whomever."""

    cadence: str
    occasion: Occasion
    written_at: datetime
    # In the steady order of the board.
    cards: Sequence[Card]
    # By slug; empty when daily, where a card's own change says it.
    stretches: Mapping[str, Stretch]
    # The open ones first, then by priority, the newest first.
    troubles: Sequence[Trouble]
    responses: Responses
    url: str
