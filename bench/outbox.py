"""From the outbox to a provider: how fast it drains, how soon a page is on the wire."""

from __future__ import annotations

import time
from pathlib import Path

from bench.figures import Figure
from bench.portal import Portal, manage, running_portal, workplace
from tests.notifications.vendors import ACCOUNT_SID, AUTH_TOKEN, Twilio, standing_in

_ROWS = 1000
# What an answer of Twilio's takes from Europe.
_LATENCY_S = 0.1
_RATE_PER_S = 80
_PAGES = 40
# Room to write them all before the first is due.
_LEAD_S = 60

_PREPARE = """
from notifications.models import Address, AddressVerification, Contact, Provider
Provider.objects.create(name="Twilio", kind="twilio", account="{account}",
    secret="{token}", sender="+33757000000", is_enabled=True, rate_per_s={rate})
contacts = Contact.objects.bulk_create(
    [Contact(name=f"Contact {{n}}") for n in range({count})])
addresses = Address.objects.bulk_create(
    [Address(contact=c, kind="phone", value=f"+3361{{n:07d}}")
     for n, c in enumerate(contacts)])
AddressVerification.objects.bulk_create(
    [AddressVerification(address=a, verified_value=a.value) for a in addresses])
"""
_ENQUEUE = """
import time
from datetime import datetime, timedelta, UTC
from django.utils import timezone
from notifications import services
from notifications.message import Message
from notifications.models import Address, Notification
due = datetime.fromtimestamp({due}, UTC) if {due} else None
for n, address in enumerate(
        Address.objects.filter(kind="phone").select_related("contact")[:{count}]):
    services.enqueue(address=address, method="sms", purpose="page",
        message=Message(title="Down", short=f"{prefix} {{n}}", priority="p0"),
        subject_key="bench", idempotency_key=f"{prefix}:{{n}}", now=timezone.now(),
        not_before=due, lane=Notification.Lane.PAGING)
    time.sleep({pause})
"""


def outbox() -> list[Figure]:
    """1,000 SMS to 1,000 people through one provider, then 40 pages one by one."""
    with workplace() as directory, standing_in(Twilio(delay_s=_LATENCY_S)) as twilio:
        return _measure(directory, twilio)


def _measure(directory: Path, twilio: Twilio) -> list[Figure]:
    with running_portal(directory, TWILIO_API_URL=twilio.url) as portal:
        manage(
            portal,
            *("shell", "-c"),
            _PREPARE.format(
                account=ACCOUNT_SID, token=AUTH_TOKEN, count=_ROWS, rate=_RATE_PER_S
            ),
        )
        due = time.time() + _LEAD_S
        _enqueue(portal, prefix="drain", count=_ROWS, due=due)
        arrivals = _arrivals(twilio, "drain", _ROWS, until=due + 120)
        _enqueue(portal, prefix="page", count=_PAGES, pause=0.5)
        _arrivals(twilio, "page", _PAGES, until=time.time() + 60)
        waits = _waits(portal, twilio)
    took_s = arrivals[-1] - max(due, arrivals[0])
    return [
        Figure("1,000 SMS drain at", _ROWS / took_s, "/s", 50, is_rate=True),
        Figure(
            f"most in a second at a rate of {_RATE_PER_S}",
            _most_in_a_second(arrivals),
            "/s",
            # Sleeping is not exact: a moment is kept to about a hundredth of a second.
            _RATE_PER_S * 1.05,
        ),
        Figure("due to Twilio's wire, p50", waits[len(waits) // 2], "s"),
        Figure("due to Twilio's wire, p99", waits[int(len(waits) * 0.99)], "s", 2),
    ]


def _enqueue(
    portal: Portal, *, prefix: str, count: int, due: float = 0, pause: float = 0
) -> None:
    script = _ENQUEUE.format(prefix=prefix, count=count, due=due, pause=pause)
    manage(portal, "shell", "-c", script)


def _arrivals(twilio: Twilio, prefix: str, count: int, *, until: float) -> list[float]:
    while time.time() < until:
        found = [one for one in twilio.messages if one["body"].startswith(prefix)]
        if len(found) >= count:
            return sorted(one["_at"] for one in found)
        time.sleep(0.2)
    raise SystemExit(f"only {len(found)} of {count} came")


def _most_in_a_second(arrivals: list[float]) -> int:
    return max(
        sum(1 for at in arrivals[start:] if at < arrivals[start] + 1)
        for start in range(len(arrivals))
    )


def _waits(portal: Portal, twilio: Twilio) -> list[float]:
    """From the commit that wrote a page to its request, in seconds."""
    came = {one["body"]: one["_at"] for one in twilio.messages}
    with portal.connect() as connection:
        rows = connection.execute(
            "SELECT message ->> 'short', extract(epoch FROM queued_at)::float8"
            " FROM notifications_notification WHERE idempotency_key LIKE 'page:%'"
        ).fetchall()
    return sorted(came[body] - queued for body, queued in rows)
