"""The deployments of the demo: a release each week or so, and those that broke something.

They fit what `past` tells: the incident pages say which one came shortly before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from incidents.models import Service
from telemetry.models import Deployment
from telemetry.services import record_deployment

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
State = Deployment.State
# Service, how long ago it ended, version, who, what became of it.
_RELEASES: Sequence[tuple[str, timedelta, str, str, str]] = (
    *(
        (service, days * DAY + hours * HOUR, f"2026.{number}", who, State.SUCCEEDED)
        for service, hours, who in (("shop", 6, "Jules"), ("api", 7, "Anna"))
        for number, days in enumerate(range(82, 3, -9), start=3)
    ),
    # What `past` blames on a release.
    ("api", 47 * DAY + 4 * HOUR + 6 * MINUTE, "2026.7.1", "Anna", State.SUCCEEDED),
    ("api", 31 * DAY + 6 * HOUR + 4 * MINUTE, "2026.9", "Anna", State.ROLLED_BACK),
    ("shop", DAY + 5 * HOUR + 3 * MINUTE, "2026.12.1", "Jules", State.SUCCEEDED),
    ("login", 12 * DAY + 15 * HOUR, "", "Jules", State.SUCCEEDED),
    ("login", 2 * DAY + 6 * HOUR, "", "Jules", State.FAILED),
    ("back-office", 20 * DAY, "", "Sofia", State.SUCCEEDED),
    ("api", 5 * HOUR, "2026.13", "Anna", State.SUCCEEDED),
)


def write(*, now: datetime) -> None:
    """Write the deployments of the last 90 days."""
    services = {service.slug: service for service in Service.objects.all()}
    for number, (slug, ago, version, who, state) in enumerate(_RELEASES, start=1):
        end = now - ago
        record_deployment(
            service=services[slug],
            environment="production",
            git_sha=_commit(slug, version, number),
            state=state,
            source="ci",
            external_id=str(number),
            version=version,
            actor=who,
            started_at=end - 3 * MINUTE,
            finished_at=end,
            rolled_back_at=end + 20 * MINUTE if state == State.ROLLED_BACK else None,
            now=now,
        )


def _commit(*parts: object) -> str:
    named = " ".join(str(part) for part in parts)
    return hashlib.sha256(named.encode()).hexdigest()[:40]
