"""The guide's four figures, as its endpoint `/api/metrics/business` gives them.

Whatever reads that of the backend can read this one instead; so can another portal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from kpis import queries
from kpis.showing.card import Card
from kpis.showing.standing import Freshness

# The endpoint's key → the KPI of the guide's seed.
SLUGS: Mapping[str, str] = MappingProxyType(
    {
        "active_users_7d": "active-users",
        "lightning_transactions_24h": "lightning-transactions",
        "mentoring_sessions_7d": "mentoring-sessions",
        "tokens_distributed_24h": "tokens-distributed",
    }
)
# A last value that is older than its KPI allows is no value any more.
_UNKNOWN = frozenset({Freshness.OVERDUE, Freshness.NEVER, Freshness.OFF})


@dataclass(frozen=True, slots=True)
class Business:
    """The four values; None is unknown, which is not zero."""

    values: Mapping[str, Decimal | None]
    # When the oldest of the values was computed.
    generated_at: datetime


def business(*, now: datetime) -> Business:
    """Return the last complete value of each KPI, as far as it still holds."""
    cards = {
        card.of.slug: card
        for card in queries.cards_named(slugs=SLUGS.values(), now=now)
    }
    known = {key: _value(cards.get(slug)) for key, slug in SLUGS.items()}
    computed = [
        card.point.computed_at
        for key, slug in SLUGS.items()
        if known[key] is not None and (card := cards[slug]).point is not None
    ]
    return Business(values=known, generated_at=min(computed, default=now))


def _value(card: Card | None) -> Decimal | None:
    if card is None or card.point is None or not card.point.is_complete:
        return None
    return None if card.freshness in _UNKNOWN else card.point.value
