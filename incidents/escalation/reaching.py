"""Whether the pages of an escalation tell somebody in time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from incidents.escalation.expanding import Delivery
from incidents.escalation.simulating import Moment

# Who is meant when a page leaves, all of them; empty: there is nobody.
Whom = Callable[[datetime], frozenset[int]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who must be told, and by what.

    `whom`: contacts, all of them. Without it and without a channel, anybody. `method`
    empty: by any way. `channel_methods`: what each shared channel is, such as "sms".
    """

    whom: Whom | None = None
    channel_id: int | None = None
    method: str = ""
    channel_methods: Mapping[int, str] = field(default_factory=dict)

    def is_way(self, delivery: Delivery) -> bool:
        """Whether a delivery goes by the way that is meant."""
        return self.method in ("", self.method_of(delivery))

    def method_of(self, delivery: Delivery) -> str:
        """Return by what a delivery goes, to a person or to a channel."""
        if delivery.channel_id is None:
            return delivery.method
        return self.channel_methods.get(delivery.channel_id, "")


@dataclass(frozen=True, slots=True)
class Found:
    """When who is meant has been told (None: not in time), and what was seen of that.

    `has_told`: anybody was told in time. `has_meant`: there was somebody to tell.
    """

    told_at: datetime | None
    has_told: bool
    has_meant: bool


def first_told(*, moments: Iterable[Moment], wanted: Wanted, until: datetime) -> Found:
    """Return when pages tell who is meant, up to `until`; looks no further than needed.

    Several people count as told with the last of them.
    """
    told: dict[int, datetime] = {}
    has_told, has_meant = False, wanted.whom is None
    for moment in moments:
        in_time = [one for one in moment.page.deliveries if one.not_before <= until]
        has_told = has_told or bool(in_time)
        fitting = sorted(
            (one for one in in_time if wanted.is_way(one)),
            key=lambda one: one.not_before,
        )
        if wanted.whom is None:
            for one in fitting:
                if wanted.channel_id in (None, one.channel_id):
                    return Found(one.not_before, has_told=True, has_meant=True)
            continue
        for one in fitting:
            if one.contact_id is not None:
                told.setdefault(one.contact_id, one.not_before)
        meant = wanted.whom(moment.at)
        has_meant = has_meant or bool(meant)
        if meant and meant <= told.keys():
            at = max(told[contact_id] for contact_id in meant)
            return Found(at, has_told=True, has_meant=True)
    return Found(None, has_told=has_told, has_meant=has_meant)
