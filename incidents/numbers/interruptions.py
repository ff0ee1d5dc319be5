"""Whom pages reached, how often, and how soon: one statement over the outbox.

One page to one person is one interruption, by however many ways it came: the rows of
the outbox that share a `route_key`. Only what has left counts.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from incidents.numbers.figures import Spread, spread
from incidents.numbers.period import Period
from incidents.numbers.scope import COUNTED, Scope, in_hours
from t4g_portal.lib.priority import Priority


@dataclass(frozen=True, slots=True)
class Reader:
    """A person or a shared channel, and how often it was paged.

    `columns`: pages by column of the pictures. `worst_week`: the most pages in seven
    days of a calendar week.
    """

    name: str
    is_person: bool
    page_count: int
    out_of_hours_count: int
    columns: Sequence[int]
    worst_week: int
    week_count: float

    @property
    def a_week(self) -> float:
        """Pages in an average week of the period."""
        return self.page_count / self.week_count


@dataclass(frozen=True, slots=True)
class Interruptions:
    """Pages by reader, the most disturbed first; people before shared channels."""

    people: Sequence[Reader]
    channels: Sequence[Reader]

    @property
    def page_count(self) -> int:
        """Pages to people."""
        return sum(reader.page_count for reader in self.people)

    @property
    def out_of_hours_count(self) -> int:
        """Pages to people who were not at work."""
        return sum(reader.out_of_hours_count for reader in self.people)


@dataclass(frozen=True, slots=True)
class FirstDelivery:
    """From the opening of incidents to the first page that arrived somewhere."""

    whole: Spread
    by_priority: Mapping[str, Spread]


# The pages are read once for both answers: joining them is most of the work, and numbers
# join faster than texts. A provider may say later that a page did not arrive after all.
_PAGES = """
WITH pages AS MATERIALIZED (
    SELECT incident.id, incident.priority, incident.opened_at,
        address.contact_id, page.channel_id,
        min(page.ended_at) AS left_at,
        min(coalesce(page.delivered_at, page.ended_at)) AS arrived_at
    FROM notifications_notification page
    JOIN incidents_incident incident ON incident.id = CASE
        WHEN page.subject_key LIKE 'incident:%%'
        THEN substr(page.subject_key, 10)::bigint END
    LEFT JOIN notifications_address address ON address.id = page.address_id
    WHERE page.purpose = 'page' AND page.status = 'sent'
        AND page.delivery_status <> 'failed' AND page.ended_at >= %(since)s
        AND {counted}
    GROUP BY incident.id, address.contact_id, page.channel_id, page.route_key,
        CASE WHEN page.route_key = '' THEN page.id END
), placed AS (
    SELECT contact_id, channel_id,
        {in_hours} AS is_in_hours,
        width_bucket(left_at, %(borders)s::timestamptz[]) AS position
    FROM pages
    WHERE left_at < %(until)s
), counted AS (
    SELECT contact_id, channel_id, position, count(*) AS page_count,
        count(*) FILTER (WHERE NOT is_in_hours) AS out_of_hours_count
    FROM placed
    GROUP BY contact_id, channel_id, position
), first AS (
    SELECT priority, date_part('epoch', min(arrived_at) - opened_at) AS arrived_s
    FROM pages
    WHERE opened_at >= %(since)s AND opened_at < %(until)s
    GROUP BY id, priority, opened_at
), spreads AS (
    SELECT priority, count(*), avg(arrived_s),
        percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY arrived_s) AS shares,
        max(arrived_s)
    FROM first
    GROUP BY GROUPING SETS ((), (priority))
)
SELECT (SELECT json_agg(counted) FROM counted)::text,
    (SELECT json_agg(spreads) FROM spreads)::text
"""


# Of a contact or of a channel.
_Key = tuple[int | None, int | None]


@dataclass(slots=True)
class _Count:
    out_of_hours: int = 0
    # By the position of the column, which counts from 1.
    columns: dict[int, int] = field(default_factory=dict)


def interruptions(
    *,
    scope: Scope,
    people: Mapping[int, tuple[str, str]],
    channels: Mapping[int, str],
) -> tuple[Interruptions, FirstDelivery]:
    """Count the pages that left in a period, and say how soon the first ones arrived.

    One query. `people`: name and zone of each contact by number; `channels`: the names.
    Working hours are the person's own; of those without a zone, the portal's.
    """
    hours, parameters = in_hours(
        number="contact_id",
        moment="left_at",
        zones=[(number, zone) for number, (_who, zone) in people.items()],
        period=scope.period,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            _PAGES.format(counted=COUNTED, in_hours=hours),
            {**scope.parameters, **parameters},
        )
        counted, spreads = cursor.fetchone()
    readers = [
        _reader(_name(key, people, channels), key, count, scope.period)
        for key, count in _counts(json.loads(counted or "[]")).items()
    ]
    readers.sort(key=lambda reader: (-reader.page_count, reader.name))
    return Interruptions(
        people=[reader for reader in readers if reader.is_person],
        channels=[reader for reader in readers if not reader.is_person],
    ), _first(json.loads(spreads))


def _counts(rows: list[dict[str, Any]]) -> Mapping[_Key, _Count]:
    counts: defaultdict[_Key, _Count] = defaultdict(_Count)
    for row in rows:
        count = counts[row["contact_id"], row["channel_id"]]
        count.columns[row["position"]] = row["page_count"]
        count.out_of_hours += row["out_of_hours_count"]
    return counts


def _name(
    key: _Key, people: Mapping[int, tuple[str, str]], channels: Mapping[int, str]
) -> str:
    contact_id, channel_id = key
    if channel_id is not None:
        return channels[channel_id]
    if contact_id is not None:
        return people[contact_id][0]
    # What was said to somebody outlives the person's addresses.
    return _("Deleted since")


def _reader(name: str, key: _Key, count: _Count, period: Period) -> Reader:
    _contact_id, channel_id = key
    by_week: Counter[tuple[int, int]] = Counter()
    columns = []
    for position, (first, _last) in enumerate(period.columns, start=1):
        pages = count.columns.get(position, 0)
        columns.append(pages)
        # No column reaches from one week into the next.
        by_week[first.isocalendar()[:2]] += pages
    return Reader(
        name=name,
        is_person=channel_id is None,
        page_count=sum(columns),
        out_of_hours_count=count.out_of_hours,
        columns=columns,
        worst_week=max(by_week.values()),
        week_count=period.week_count,
    )


def _first(rows: list[dict[str, Any]]) -> FirstDelivery:
    found = {
        row["priority"]: spread((row["count"], row["avg"], row["shares"], row["max"]))
        for row in rows
    }
    return FirstDelivery(
        whole=found.get(None, Spread()),
        by_priority={
            priority: found.get(priority, Spread()) for priority in Priority.values
        },
    )
