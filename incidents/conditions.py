"""A firing condition as whoever found it describes it, fit for the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from incidents.models import EscalationPolicy, Service
from t4g_portal.lib.priority import Priority

MAX_KEY = 200
MAX_TITLE = 300
MAX_DETAIL = 4000
MAX_SOURCE = 100
# Half an address leads nowhere: a longer one is left out.
MAX_URL = 200
# What the keys of the portal's own alarms begin with: about pages that get lost,
# escalations that reach nobody, blindness.
OWN_PREFIX = "portal:"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong; `intake.trigger` says what its values mean."""

    dedup_key: str
    service: Service
    grouping_key: str
    title: str
    detail: str
    priority: str
    source: str
    started_at: datetime
    runbook_url: str
    is_public: bool
    is_drill: bool = False
    policy: EscalationPolicy | None = None

    @property
    def may_wait(self) -> bool:
        """Whether a deploy window may hold it back."""
        return (
            self.priority != Priority.P0
            and not self.is_drill
            and self.policy is None
            and not self.dedup_key.startswith(OWN_PREFIX)
        )


def storable(text: str, limit: int) -> str:
    """Make text fit its column; PostgreSQL stores no NUL."""
    text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= limit else text[: limit - 1] + "…"
