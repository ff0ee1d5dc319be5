"""Opens 1,000 incidents and lets the engine tick. Prints JSON.

Run by `bench.escalation` on a database of its own: `python -m bench.escalation_inside`.
"""

from __future__ import annotations

import json
import logging
import statistics
import time
from datetime import timedelta

_OPEN = 1000
_ROUNDS = 10


def main() -> None:
    import django

    django.setup()
    from django.db import connection
    from django.utils import timezone

    from incidents import intake
    from incidents.advancing import advance_all, advance_due
    from incidents.models import EscalationPolicy, Incident, PriorityRule, Service
    from notifications.models import (
        Address,
        AddressVerification,
        Channel,
        Contact,
        Notification,
    )

    logging.disable(logging.WARNING)
    began = timezone.now()
    policy = EscalationPolicy.objects.create(name="Bench")
    step = policy.steps.create(repeat_s=300, has_mention=True)
    second = policy.steps.create(position=1, after_s=86_400)
    step.channels.set(
        Channel.objects.create(
            name=f"Channel {n}",
            kind="email",
            address=f"c{n}@example.org",
            is_enabled=True,
        )
        for n in range(2)
    )
    for n in range(3):
        contact = Contact.objects.create(name=f"Person {n}")
        address = Address.objects.create(
            contact=contact, kind="email", value=f"p{n}@example.org"
        )
        AddressVerification.objects.create(
            address=address, verified_value=address.value, verified_at=began
        )
        step.contacts.add(contact)
        second.contacts.add(contact)
    PriorityRule.objects.create(priority="p0", response_s=300, policy=policy)

    def incident(n: int) -> float:
        service = Service.objects.create(name=f"Service {n}", slug=f"s{n}")
        at = time.perf_counter()
        intake.trigger(
            dedup_key=f"k{n}",
            service=service,
            title="Down",
            priority="p0",
            started_at=began,
            now=began,
        )
        return time.perf_counter() - at

    opened = [incident(n) for n in range(_OPEN)]
    # As if all had been told a while ago.
    Notification.objects.update(status="sent", ended_at=began)
    Incident.objects.update(
        response_due_at=began + timedelta(days=9), next_escalation_at=began
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")

    def tick(minutes: float) -> float:
        at = time.perf_counter()
        advance_due(now=began + timedelta(minutes=minutes))
        return (time.perf_counter() - at) * 1000

    later = began + timedelta(days=1)
    Incident.objects.update(next_escalation_at=later)
    tick(1)
    idle = [tick(1) for _ in range(_ROUNDS)]
    some = []
    ids = list(Incident.objects.order_by("pk").values_list("pk", flat=True))
    for number in range(_ROUNDS):
        chosen = ids[number * 100 : number * 100 + 100]
        # Their deadlines pass in the same tick, as those of one outage do.
        Incident.objects.filter(pk__in=chosen).update(
            next_escalation_at=began, response_due_at=began
        )
        some.append(tick(6))
    # Repeats of five minutes and a tick of five seconds: so many are due in each.
    usual = []
    Incident.objects.update(next_escalation_at=later)
    for number in range(_ROUNDS):
        chosen = ids[number * 17 : number * 17 + 17]
        Incident.objects.filter(pk__in=chosen).update(next_escalation_at=began)
        usual.append(tick(11))
    Incident.objects.update(next_escalation_at=began)
    at = time.perf_counter()
    # A tick that has used up its seconds leaves the rest to the next one.
    while Incident.objects.filter(next_escalation_at__lte=began).exists():
        advance_all(now=began + timedelta(minutes=16))
    all_s = time.perf_counter() - at
    print(
        json.dumps(
            {
                "idle_p50": statistics.median(idle),
                "idle_max": max(idle),
                "usual_p50": statistics.median(usual),
                "usual_max": max(usual),
                "some_p50": statistics.median(some),
                "some_max": max(some),
                "all_s": all_s,
                "one_ms": statistics.median(opened) * 1000,
            }
        )
    )


if __name__ == "__main__":
    main()
