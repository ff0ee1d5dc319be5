"""Who gets a letter that goes to chosen channels and people, such as a digest."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db.models import QuerySet

from notifications import services
from notifications.models import Address, Channel, Contact
from notifications.routing import routes_for
from t4g_portal.lib.priority import Priority


@dataclass(frozen=True, slots=True)
class Reader:
    """Where a letter goes, one of a channel and an address, and who reads it there."""

    channel: Channel | None
    address: Address | None
    # How it gets to an address, such as "email".
    method: str
    language: str
    # Where the reader's clock is.
    zone: str

    @property
    def key(self) -> str:
        """Tell it from all others, in printable ASCII."""
        if self.channel is not None:
            return f"channel:{self.channel.pk}"
        assert self.address is not None  # noqa: S101 it is one or the other
        return f"address:{self.address.pk}:{self.method}"


def readers_of(
    *, channels: QuerySet[Channel], contacts: QuerySet[Contact], zone: str
) -> list[Reader]:
    """Return where a letter can go now: usable channels, then people.

    A person gets it by the way that disturbs least. `zone` is that of the many who read
    a channel, and of people who have chosen none.
    """
    found = [
        Reader(
            channel=channel,
            address=None,
            method="",
            language=channel.language or settings.PORTAL_LANGUAGE,
            zone=zone,
        )
        for channel in services.usable_channels(channels.order_by("name"))
    ]
    people = list(contacts.order_by("name").values_list("pk", flat=True))
    routes = routes_for(contacts=people, priority=Priority.P2)
    first = [(routes[pk][0], pk) for pk in people if routes[pk]]
    addresses = Address.objects.select_related("contact").in_bulk(
        [route.address_id for route, _pk in first]
    )
    for route, _pk in first:
        address = addresses[route.address_id]
        found.append(
            Reader(
                channel=None,
                address=address,
                method=route.method,
                language=address.contact.language or settings.PORTAL_LANGUAGE,
                zone=address.contact.time_zone or zone,
            )
        )
    return found
