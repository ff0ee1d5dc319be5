"""Who is reached how: a person's addresses and rules become routes, the soonest first.

`plan` is pure. `routes_for` is the one door; paging, the simulator, pages and the API
ask nothing else, so that what they show is what is done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from notifications.methods import ADDRESS_KIND, usable_methods
from notifications.models import Address, Contact, PersonalRule
from t4g_portal.lib.priority import Priority


@dataclass(frozen=True, slots=True)
class Wish:
    """One line of somebody's rules: by what, how many seconds after the page."""

    method: str
    delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """An address that may be used: enabled and verified, of an enabled contact."""

    address_id: int
    kind: str


@dataclass(frozen=True, slots=True)
class Route:
    """One message to one address: how, how long after the page, and why so."""

    address_id: int
    method: str
    delay_s: int
    # In words of the active language.
    why: str


# How somebody without own rules for a priority is told. P3 waits for the digest.
DEFAULTS: Mapping[str, tuple[Wish, ...]] = {
    Priority.P0: (Wish("sms"), Wish("slack"), Wish("email"), Wish("voice", 120)),
    Priority.P1: (Wish("slack"), Wish("email")),
    Priority.P2: (Wish("email"),),
    Priority.P3: (),
}
# Among what comes at the same moment, and among what nobody asked for: what wakes
# somebody first for the urgent, what disturbs least first for the rest.
_LOUDEST_FIRST = ("sms", "slack", "voice", "email")
_QUIETEST_FIRST = ("email", "slack", "sms", "voice")


def plan(
    *,
    priority: str,
    places: Collection[Place],
    own: Sequence[Wish],
    usable: frozenset[str],
) -> tuple[Route, ...]:
    """Return the routes of one person, the soonest first; empty when nothing leads there.

    `own` are the person's rules for this priority; without any the defaults hold. What
    nothing can carry, or no address can take, is left out. The first that is left then
    comes when the first that was wished for would have come. When none is left, the
    best of the other ways is used at once.
    """
    wishes = own or DEFAULTS[priority]
    source = _("own rule") if own else _("usual way")
    order = _order(priority)
    routes = [
        Route(
            address_id=place.address_id,
            method=wish.method,
            delay_s=wish.delay_s,
            why=source,
        )
        for wish in wishes
        if wish.method in usable
        for place in places
        if place.kind == ADDRESS_KIND[wish.method]
    ]
    if not routes:
        return _any_way(priority=priority, places=places, usable=usable)
    routes.sort(
        key=lambda route: (route.delay_s, order[route.method], route.address_id)
    )
    return _brought_forward(routes, to_s=min(wish.delay_s for wish in wishes))


def routes_for(
    *, contacts: Collection[int], priority: str
) -> dict[int, tuple[Route, ...]]:
    """Return the routes to each of some contacts, by id; three queries for any number.

    Empty for whom nothing can reach: disabled, without a verified address, without a
    provider, unknown.
    """
    places: dict[int, list[Place]] = defaultdict(list)
    own: dict[int, list[Wish]] = defaultdict(list)
    if contacts:
        for contact_id, address_id, kind in (
            Address.objects.usable()
            .filter(contact__in=contacts)
            .order_by("pk")
            .values_list("contact_id", "pk", "kind")
        ):
            places[contact_id].append(Place(address_id=address_id, kind=kind))
        for contact_id, method, delay_s in PersonalRule.objects.filter(
            contact__in=places, priority=priority
        ).values_list("contact_id", "method", "delay_s"):
            if method in ADDRESS_KIND:
                own[contact_id].append(Wish(method=method, delay_s=delay_s))
    usable = usable_methods() if places else frozenset()
    return {
        contact_id: plan(
            priority=priority,
            places=places.get(contact_id, ()),
            own=own.get(contact_id, ()),
            usable=usable,
        )
        for contact_id in contacts
    }


def catch_all_id() -> int | None:
    """Return the contact who is told when a policy reaches nobody; None: nobody is."""
    return (
        Contact.objects.filter(is_catch_all=True, is_enabled=True)
        .values_list("pk", flat=True)
        .first()
    )


def _brought_forward(routes: list[Route], *, to_s: int) -> tuple[Route, ...]:
    soonest_s = routes[0].delay_s
    if soonest_s <= to_s:
        return tuple(routes)
    why = _("brought forward: what comes before it can't be used")
    return tuple(
        Route(route.address_id, route.method, to_s, why)
        if route.delay_s == soonest_s
        else route
        for route in routes
    )


def _any_way(
    *, priority: str, places: Collection[Place], usable: frozenset[str]
) -> tuple[Route, ...]:
    order = _order(priority)
    ways = [
        (order[method], place.address_id, method)
        for place in places
        for method, kind in ADDRESS_KIND.items()
        if kind == place.kind and method in usable
    ]
    if not ways:
        return ()
    _rank, address_id, method = min(ways)
    why = _("the only way that is left: no rule leads to a usable address")
    return (Route(address_id=address_id, method=method, delay_s=0, why=why),)


def _order(priority: str) -> dict[str, int]:
    is_urgent = priority in {Priority.P0, Priority.P1}
    order = _LOUDEST_FIRST if is_urgent else _QUIETEST_FIRST
    return {method: rank for rank, method in enumerate(order)}
