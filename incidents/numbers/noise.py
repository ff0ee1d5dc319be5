"""What raises most alerts, and how much of it nobody had to act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from incidents import sources
from incidents.numbers.figures import BRIEF_S
from incidents.numbers.scope import COUNTED, Scope

MOST = 10


@dataclass(frozen=True, slots=True)
class NoisySource:
    """A monitor (or whatever raised alerts) and what became of them.

    `brief_count`: incidents that ended by themselves within five minutes;
    `unacknowledged_count`: that are over and nobody had acknowledged. Both are of
    `incident_count`, which counts an incident for each of its sources.
    """

    source: str
    name: str
    url: str
    rules_url: str
    alert_count: int
    incident_count: int
    brief_count: int
    unacknowledged_count: int

    @property
    def brief_ratio(self) -> float:
        """The share of its incidents that ended by themselves within five minutes."""
        return self.brief_count / self.incident_count


_NOISE = """
WITH raised AS (
    SELECT alert.source, count(*) AS alerts, max(alert.title) AS title,
        incident.resolved_at - incident.opened_at
            < make_interval(secs => %(brief_s)s)
            AND incident.resolved_by_id IS NULL AND incident.resolved_by_name = ''
            AS is_brief,
        incident.resolved_at IS NOT NULL AND incident.first_acknowledged_at IS NULL
            AS is_unacknowledged
    FROM incidents_incident incident
    JOIN incidents_alert alert ON alert.incident_id = incident.id
    WHERE incident.opened_at >= %(since)s AND incident.opened_at < %(until)s
        AND alert.source <> ''
        AND {counted}
    GROUP BY alert.source, incident.id
)
SELECT source, max(title), sum(alerts), count(*), count(*) FILTER (WHERE is_brief),
    count(*) FILTER (WHERE is_unacknowledged)
FROM raised
GROUP BY source
ORDER BY count(*) DESC, sum(alerts) DESC, source
LIMIT %(most)s
"""


def noisiest(*, scope: Scope) -> Sequence[NoisySource]:
    """Return the sources of most incidents opened in a period; a query a kind and one.

    One whose source is gone has the title of an alert for a name.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _NOISE.format(counted=COUNTED),
            {**scope.parameters, "brief_s": BRIEF_S, "most": MOST},
        )
        rows = cursor.fetchall()
    names = sources.names_of([row[0] for row in rows])
    return [
        NoisySource(
            source=source,
            name=names.get(source, title),
            url=sources.url_of(source) if source in names else "",
            rules_url=sources.rules_url_of(source) if source in names else "",
            alert_count=int(alerts),
            incident_count=incidents,
            brief_count=brief,
            unacknowledged_count=unacknowledged,
        )
        for source, title, alerts, incidents, brief, unacknowledged in rows
    ]
