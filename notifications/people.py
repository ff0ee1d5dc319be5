"""Writing people: contacts with their addresses and rules, for every interface."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from notifications.models import Address, Contact, PersonalRule
from notifications.validation import (
    normal_value,
    validate_address,
    validate_rule,
    validate_time_zone,
)
from t4g_portal.lib import editing
from t4g_portal.lib.editing import Values
from t4g_portal.lib.faults import Fault
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.versions import locked

MAX_ADDRESSES = 20
_MAX_NAME = 120


def create_contact(
    *,
    values: Values,
    addresses: Sequence[Values] = (),
    rules: Sequence[Values] = (),
) -> Contact:
    """Store a new contact; raises UnableToSave. No address is verified by that."""
    merged = {**editing.defaults(Contact), **values}
    places = [_normal(one) for one in addresses]
    editing.refuse(_faults(merged, places, rules))
    with transaction.atomic():
        contact = Contact()
        editing.assign(contact, values)
        _set_addresses(contact, places)
        _set_rules(contact, rules)
    return contact


def change_contact(
    *,
    contact_id: int,
    values: Values,
    addresses: Sequence[Values] | None = None,
    rules: Sequence[Values] | None = None,
    expected: str | None = None,
) -> Contact:
    """Change what `values` name, and replace addresses and rules unless None.

    An address that stays keeps its proof. Raises UnableToSave, ChangedMeanwhile,
    Contact.DoesNotExist.
    """
    with locked(Contact.objects.all(), pk=contact_id, expected=expected) as contact:
        merged = {**editing.present(contact), **values}
        places = None if addresses is None else [_normal(one) for one in addresses]
        editing.refuse(_faults(merged, places or (), rules or (), pk=contact.pk))
        editing.assign(contact, values)
        if places is not None:
            _set_addresses(contact, places)
        if rules is not None:
            _set_rules(contact, rules)
    return contact


def delete_contact(*, contact_id: int, expected: str | None = None) -> None:
    """Delete a contact. What was said to it stays."""
    editing.delete(rows=Contact.objects.all(), pk=contact_id, expected=expected)


# --- One's own -------------------------------------------------------------------------


def contact_of(*, user: User) -> Contact | None:
    """Return the contact of somebody who signs in."""
    return Contact.objects.filter(user=user).prefetch_related("rules").first()


def own_contact(*, user: User) -> Contact:
    """Return somebody's contact, a new one when there is none yet."""
    with transaction.atomic():
        # Two clicks at once: the second waits and finds what the first has made.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        known = contact_of(user=user)
        if known is not None:
            return known
        return Contact.objects.create(name=_free_name(user), user=user)


def add_address(*, contact: Contact, kind: str, value: str) -> Address:
    """Add an address, not verified yet; raises UnableToSave."""
    place = _normal({"kind": kind, "value": value, "is_enabled": True})
    with locked(Contact.objects.all(), pk=contact.pk) as contact:
        known = [
            {"kind": one.kind, "value": one.value} for one in contact.addresses.all()
        ]
        faults = list(_address_faults([*known, place]))
        editing.refuse([Fault(one.inside or one.field, one.message) for one in faults])
        return Address.objects.create(contact=contact, **place)


def set_own_rules(*, contact: Contact, wishes: Mapping[str, Mapping[str, int]]) -> None:
    """Replace somebody's rules: priority → method → seconds after the page.

    A priority without any is told in the usual way.
    """
    rules = [
        {"priority": priority, "method": method, "delay_s": delay_s}
        for priority, methods in wishes.items()
        for method, delay_s in methods.items()
    ]
    change_contact(contact_id=contact.pk, values={}, rules=rules)


def _free_name(user: User) -> str:
    wanted = (user.get_full_name() or user.get_username())[: _MAX_NAME - 5]
    # Somebody else's, or the entry of the guide that only an admin can give away.
    taken = set(
        Contact.objects.filter(name__startswith=wanted).values_list("name", flat=True)
    )
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted} {number}", number + 1
    return name


# --- Rules of the domain ----------------------------------------------------------------


def _normal(address: Values) -> dict[str, Any]:
    value = normal_value(kind=address["kind"], value=address["value"])
    return {**address, "value": value}


def _faults(
    values: Values,
    addresses: Sequence[Values],
    rules: Sequence[Values],
    *,
    pk: int | None = None,
) -> Iterator[Fault]:
    zone = validate_time_zone(time_zone=values.get("time_zone", ""))
    for field, message in zone.items():
        yield Fault(field, message)
    if values.get("is_catch_all"):
        yield from catch_all_faults(contact_id=pk)
    yield from _address_faults(addresses)
    yield from _rule_faults(rules)


def catch_all_faults(*, contact_id: int | None) -> Iterator[Fault]:
    """Refuse a second catch-all, and name the first."""
    others = Contact.objects.filter(is_catch_all=True)
    other = others.exclude(pk=contact_id or 0).first()
    if other is not None:
        said = _("%(name)s is the catch-all already. Take it from there first.")
        yield Fault("is_catch_all", said % {"name": other.name})


def _address_faults(addresses: Sequence[Values]) -> Iterator[Fault]:
    if len(addresses) > MAX_ADDRESSES:
        most = _("At most %(count)d addresses.") % {"count": MAX_ADDRESSES}
        yield Fault("addresses", most)
    seen = Counter[tuple[str, str]]()
    for index, one in enumerate(addresses):
        kind, value = one["kind"], one["value"]
        seen[kind, value] += 1
        if seen[kind, value] == 2:
            twice = _("It stands here already.")
            yield Fault("addresses", twice, inside="value", index=index)
        for field, message in validate_address(kind=kind, value=value).items():
            yield Fault("addresses", message, inside=field, index=index)


def _rule_faults(rules: Sequence[Values]) -> Iterator[Fault]:
    seen = Counter[tuple[str, str]]()
    for index, one in enumerate(rules):
        priority, method = one["priority"], one["method"]
        seen[priority, method] += 1
        if seen[priority, method] == 2:
            twice = _("There is a rule for this priority and method already.")
            yield Fault("rules", twice, inside="method", index=index)
        if priority not in Priority.values:
            yield Fault("rules", _("Unknown priority."), inside="priority", index=index)
        wrong = validate_rule(method=method, delay_s=one.get("delay_s", 0))
        for field, message in wrong.items():
            yield Fault("rules", message, inside=field, index=index)


def _set_addresses(contact: Contact, places: Sequence[Values]) -> None:
    stored = {(one.kind, one.value): one for one in contact.addresses.all()}
    wanted = {(one["kind"], one["value"]): one for one in places}
    for key, row in stored.items():
        if key not in wanted:
            row.delete()
    for key, place in wanted.items():
        known = stored.get(key)
        if known is None:
            Address.objects.create(contact=contact, **place)
        elif known.is_enabled != place.get("is_enabled", True):
            known.is_enabled = place.get("is_enabled", True)
            known.save(update_fields=["is_enabled"])


def _set_rules(contact: Contact, rules: Sequence[Values]) -> None:
    stored = {(one.priority, one.method): one for one in contact.rules.all()}
    wanted = {(one["priority"], one["method"]): one.get("delay_s", 0) for one in rules}
    for key, row in stored.items():
        if key not in wanted:
            row.delete()
    for (priority, method), delay_s in wanted.items():
        known = stored.get((priority, method))
        if known is None:
            PersonalRule.objects.create(
                contact=contact, priority=priority, method=method, delay_s=delay_s
            )
        elif known.delay_s != delay_s:
            known.delay_s = delay_s
            known.save(update_fields=["delay_s"])
