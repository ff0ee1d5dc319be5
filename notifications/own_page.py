"""What somebody sees of their own contact details; it loads, and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from notifications.methods import methods_of, usable_methods
from notifications.models import Address, AddressVerification, Contact
from notifications.models.contact import address_kinds, method_kinds
from notifications.routing import DEFAULTS, Route, routes_for
from notifications.verifying import PAUSE
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.wording import duration

# Seconds after the page that one can choose.
DELAYS = (0, 60, 120, 300, 600, 900, 1800)


@dataclass(frozen=True, slots=True)
class Place:
    """One address: whether it counts, and what can be done about it."""

    address: Address
    label: str
    is_verified: bool
    verified_at: datetime | None
    # A code is out and may be entered until then.
    code_until: datetime | None
    tries_left: int
    may_send_code: bool
    # Method and label of what can be tried.
    tests: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One choice of the table of rules; `delay_s` None: not by this."""

    name: str
    label: str
    delay_s: int | None
    choices: tuple[tuple[int | None, str], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """How one priority reaches the person: what is set, and what really happens."""

    priority: Priority
    is_own: bool
    # Whether this priority pages people at all where nobody says otherwise.
    is_usual: bool
    cells: tuple[Cell, ...]
    said: str
    is_reached: bool


@dataclass(frozen=True, slots=True)
class OwnPage:
    """Everything the page shows. `tone` is the state of its first sentence."""

    contact: Contact | None
    places: tuple[Place, ...]
    lines: tuple[Line, ...]
    tone: str
    headline: str
    advice: str

    @property
    def has_own_rules(self) -> bool:
        """Whether there is anything to go back from."""
        return any(line.is_own for line in self.lines)


def load(
    *, contact: Contact | None, now: datetime, typed: Mapping[str, int | None] | None
) -> OwnPage:
    """Load the page of a contact, or of somebody who has none yet.

    `typed`: choices of the table that were sent and not stored, by name of the cell.
    """
    usable = usable_methods()
    places = tuple(_place(address, usable, now) for address in (_addresses(contact)))
    lines = tuple(_line(contact, priority, places, typed) for priority in Priority)
    tone, headline, advice = _headline(contact, places, lines)
    return OwnPage(
        contact=contact,
        places=places,
        lines=lines,
        tone=tone,
        headline=headline,
        advice=advice,
    )


def addresses_of(*, contact: Contact, now: datetime) -> tuple[Place, ...]:
    """Return the addresses of any contact, for whoever helps to verify them."""
    usable = usable_methods()
    return tuple(_place(address, usable, now) for address in _addresses(contact))


def route_words(route: Route, value: str) -> str:
    """Say one route: "SMS to +33612345678 at once"."""
    label = dict(method_kinds()).get(route.method, route.method)
    said = {"method": label, "value": value}
    if route.delay_s:
        return _("%(method)s to %(value)s after %(delay)s") % {
            **said,
            "delay": duration(route.delay_s),
        }
    return _("%(method)s to %(value)s at once") % said


def _addresses(contact: Contact | None) -> list[Address]:
    if contact is None:
        return []
    rows = contact.addresses.select_related("verification")
    return list(rows.order_by("kind", "pk"))


def _place(address: Address, usable: frozenset[str], now: datetime) -> Place:
    proof: AddressVerification | None = getattr(address, "verification", None)
    is_verified = address.is_verified
    methods = methods_of(kind=address.kind, usable=usable)
    is_out = bool(
        not is_verified
        and proof
        and proof.code_nonce
        and proof.code_value == address.value
        and proof.code_expires_at
        and proof.code_expires_at > now
        and proof.tries_left
    )
    is_recent = bool(proof and proof.code_sent_at and proof.code_sent_at + PAUSE > now)
    labels = dict(method_kinds())
    may_test = is_verified and address.is_enabled
    return Place(
        address=address,
        label=dict(address_kinds()).get(address.kind, address.kind),
        is_verified=is_verified,
        verified_at=proof.verified_at if proof and is_verified else None,
        code_until=proof.code_expires_at if proof and is_out else None,
        tries_left=proof.tries_left if proof else 0,
        may_send_code=not is_verified and not is_recent and address.is_enabled,
        tests=tuple((one, labels[one]) for one in methods) if may_test else (),
    )


def _line(
    contact: Contact | None,
    priority: Priority,
    places: tuple[Place, ...],
    typed: Mapping[str, int | None] | None,
) -> Line:
    own: Mapping[str, int] = {}
    routes: tuple[Route, ...] = ()
    if contact is not None:
        own = {
            rule.method: rule.delay_s
            for rule in contact.rules.all()
            if rule.priority == priority
        }
        routes = routes_for(contacts=[contact.pk], priority=priority)[contact.pk]
    usual = {wish.method: wish.delay_s for wish in DEFAULTS[priority]}
    values = {one.address.pk: one.address.value for one in places}
    said = "; ".join(
        route_words(route, values.get(route.address_id, "")) for route in routes
    )
    return Line(
        priority=priority,
        is_own=bool(own),
        is_usual=bool(own or usual),
        cells=tuple(
            _cell(
                f"{priority}_{method}",
                label,
                typed.get(f"{priority}_{method}")
                if typed is not None
                else (own or usual).get(method),
            )
            for method, label in method_kinds()
        ),
        said=said,
        is_reached=bool(routes),
    )


def _cell(name: str, label: str, delay_s: int | None) -> Cell:
    delays = sorted({*DELAYS, *([] if delay_s is None else [delay_s])})
    return Cell(
        name=name,
        label=label,
        delay_s=delay_s,
        choices=(
            (None, _("no")),
            *(
                (
                    one,
                    _("after %(delay)s") % {"delay": duration(one)}
                    if one
                    else _("at once"),
                )
                for one in delays
            ),
        ),
    )


def _headline(
    contact: Contact | None, places: tuple[Place, ...], lines: tuple[Line, ...]
) -> tuple[str, str, str]:
    if contact is not None and not contact.is_enabled:
        return (
            "down",
            _("Nothing reaches you"),
            _("Your contact is disabled. Whoever edits contacts can enable it."),
        )
    if lines[0].is_reached:
        unproved_count = sum(not one.is_verified for one in places)
        advice = (
            ngettext(
                "%(count)d address is not verified yet and counts for nothing.",
                "%(count)d addresses are not verified yet and count for nothing.",
                unproved_count,
            )
            % {"count": unproved_count}
            if unproved_count
            else ""
        )
        return (
            "degraded" if unproved_count else "up",
            _("Pages reach you"),
            advice,
        )
    if not places:
        return (
            "unknown",
            _("Nothing reaches you yet"),
            _("Add a phone number or an e-mail address, then prove it with a code."),
        )
    if not any(one.is_verified and one.address.is_enabled for one in places):
        return (
            "degraded",
            _("Nothing reaches you yet"),
            _("Send a code to an address and enter it here."),
        )
    return (
        "degraded",
        _("Nothing reaches you yet"),
        _("Nothing here can send to your addresses. Add an e-mail address."),
    )
