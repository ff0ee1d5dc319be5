"""What comes back, and who need not be told again."""

from __future__ import annotations

from datetime import datetime, timedelta

# A condition that comes back this soon after its end is the same trouble flapping:
# shorter, and an unstable service pages at every dip; longer, and a second outage
# hides behind the first.
FLAP_WINDOW = timedelta(minutes=10)

# Whoever was told this recently need not be told again that it got worse. Later, an
# old message of a lower priority is no warning any more.
RECENTLY_TOLD = timedelta(minutes=10)


def is_flap(
    *, resolved_at: datetime, is_resolved_by_person: bool, now: datetime
) -> bool:
    """Whether a condition firing at `now` continues an incident that has ended.

    What a person declared over is over: when it fires again, that is news.
    """
    return not is_resolved_by_person and now - resolved_at < FLAP_WINDOW
