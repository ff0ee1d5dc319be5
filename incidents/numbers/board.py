"""Everything on the page of numbers, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from incidents.models import Service
from incidents.numbers.figures import Response, response
from incidents.numbers.interruptions import (
    FirstDelivery,
    Interruptions,
    interruptions,
)
from incidents.numbers.noise import NoisySource, noisiest
from incidents.numbers.scope import Scope
from notifications.models import Channel, Contact
from notifications.tasks import RETENTION


@dataclass(frozen=True, slots=True)
class Board:
    """The figures of a scope. `pages_since`: pages before are no longer known."""

    scope: Scope
    response: Response
    interruptions: Interruptions
    first_delivery: FirstDelivery
    noisiest: Sequence[NoisySource]
    pages_since: datetime | None


def board(*, scope: Scope, now: datetime) -> Board:
    """Return the figures of a scope as of `now`; seven queries."""
    kept_since = now - RETENTION
    contacts = Contact.objects.values_list("pk", "name", "time_zone")
    disturbed, first_delivery = interruptions(
        scope=scope,
        people={pk: (name, zone) for pk, name, zone in contacts},
        channels=dict(Channel.objects.values_list("pk", "name")),
    )
    return Board(
        scope=scope,
        response=response(
            scope=scope,
            zones=list(Service.objects.values_list("pk", "time_zone")),
            now=now,
        ),
        interruptions=disturbed,
        first_delivery=first_delivery,
        noisiest=noisiest(scope=scope),
        pages_since=kept_since if scope.period.since < kept_since else None,
    )
