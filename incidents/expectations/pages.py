"""Expectations as the simulator's page lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils.translation import gettext as _

from incidents.expectations import words
from incidents.expectations.judging import Status, with_names
from incidents.models import ReachExpectation, ReachExpectationState, Service
from incidents.oncall import wall

# What is shown of a page of the simulator, in minutes.
HORIZON_MINUTES = (30, 60, 240, 1440)
_LOOKS = {Status.KEPT: "up", Status.BROKEN: "down"}


@dataclass(frozen=True, slots=True)
class Row:
    """One expectation for reading: its state as word and look, and what decided it.

    `lasting`: how long it has been so.
    """

    expectation: ReachExpectation
    sentence: str
    state: ReachExpectationState | None
    word: str
    look: str
    lasting: timedelta | None
    outcome: str
    run_url: str

    @property
    def is_broken(self) -> bool:
        """Whether it doesn't hold."""
        return self.state is not None and self.state.status == Status.BROKEN


def rows(*, services: Sequence[Service], now: datetime) -> list[Row]:
    """Load all expectations, those first that don't hold; one query.

    `services`: all of them, of which the first stands in for those of a policy alone.
    """
    found = with_names(ReachExpectation.objects.all()).order_by("name")
    made = [_row(one, services, now) for one in found]
    return sorted(made, key=lambda row: not row.is_broken)


def run_url(
    *, expectation: ReachExpectation, opens_at: datetime | None, service: Service
) -> str:
    """Return where the simulator shows what it was judged by."""
    asked = {
        "service": service.slug,
        "priority": expectation.priority,
        "minutes": str(_minutes(expectation.within_s)),
    }
    if expectation.policy_id is not None:
        asked["policy"] = str(expectation.policy_id)
    if expectation.occasion != ReachExpectation.Occasion.ALWAYS and opens_at:
        # The page's moment is on the clock of the service.
        zone = ZoneInfo(service.time_zone)
        typed = wall.shown(opens_at, zone)
        asked["at"] = typed.isoformat(timespec="seconds")
        is_second = wall.first(typed, zone) != opens_at
        asked |= {"fold": "1"} if is_second else {}
    return f"{reverse('simulator')}?{urlencode(asked)}"


def _row(
    expectation: ReachExpectation, services: Sequence[Service], now: datetime
) -> Row:
    state: ReachExpectationState | None = getattr(expectation, "state", None)
    if not expectation.is_enabled:
        state = None
    service = expectation.service or next(iter(services), None)
    opens_at = state.opens_at if state else expectation.at
    return Row(
        expectation=expectation,
        sentence=words.sentence(expectation),
        state=state,
        word=_word(expectation, state),
        look=_LOOKS.get(Status(state.status), "unknown") if state else "unknown",
        lasting=now - state.since if state else None,
        outcome=words.outcome(state, now=now) if state else "",
        run_url=run_url(expectation=expectation, opens_at=opens_at, service=service)
        if service
        else "",
    )


def _word(expectation: ReachExpectation, state: ReachExpectationState | None) -> str:
    if not expectation.is_enabled:
        return _("Off")
    return state.get_status_display() if state else _("Not judged yet")


def _minutes(within_s: int) -> int:
    length = timedelta(seconds=within_s)
    return next(
        minutes for minutes in HORIZON_MINUTES if timedelta(minutes=minutes) >= length
    )
