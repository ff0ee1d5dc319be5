"""Contacts with their addresses and rules, and channels."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from notifications import provider_rules, validation
from notifications.models import Address, Channel, Contact, PersonalRule, Provider
from t4g_portal.configuration.tables import (
    Candidate,
    Fault,
    Part,
    Section,
    columns,
)


def _check_contact(candidate: Candidate) -> Iterator[Fault]:
    zone = validation.validate_time_zone(time_zone=candidate.values["time_zone"])
    for column, message in zone.items():
        yield Fault(column, message)
    for index, address in enumerate(candidate.parts["addresses"]):
        found = validation.validate_address(
            kind=address["kind"], value=address["value"]
        )
        for column, message in found.items():
            yield Fault(column, message, part="addresses", index=index)
    for index, rule in enumerate(candidate.parts["rules"]):
        wrong = validation.validate_rule(method=rule["method"], delay_s=rule["delay_s"])
        for column, message in wrong.items():
            yield Fault(column, message, part="rules", index=index)


def _check_provider(candidate: Candidate) -> Iterator[Fault]:
    values = candidate.values
    found = provider_rules.validate_provider(
        kind=values["kind"],
        account=values["account"],
        sender=values["sender"],
        voice_sender=values["voice_sender"],
    )
    if values["is_enabled"] and "kind" not in found:
        filled = {name for name, value in values.items() if value}
        filled |= {name for name in Provider.SECRETS if candidate.secret(name)}
        found |= provider_rules.missing_provider_fields(
            kind=values["kind"], filled=filled
        )
    for column, message in found.items():
        if column in Provider.SECRETS:
            message = _("%(why)s %(name)s_env names the environment variable.") % {
                "why": message,
                "name": column,
            }
        yield Fault(column, message)


def _check_channel(candidate: Candidate) -> Iterator[Fault]:
    values, secret = candidate.values, candidate.secret("secret")
    found = validation.validate_channel(
        kind=values["kind"], address=values["address"], secret=secret
    )
    if values["is_enabled"]:
        found |= validation.missing_fields(
            kind=values["kind"], address=values["address"], has_secret=bool(secret)
        )
    for column, message in found.items():
        if column == "secret":
            message = _("%(why)s secret_env names the environment variable.") % {
                "why": message
            }
        yield Fault(column, message)


CONTACTS = Section(
    name="contacts",
    model=Contact,
    key=("name",),
    columns=columns(Contact, "name language time_zone is_enabled is_catch_all"),
    # Accounts are no configuration: another portal has other people.
    left_out=frozenset({"user"}),
    parts=(
        Part(
            name="addresses",
            model=Address,
            parent="contact",
            key=("kind", "value"),
            columns=columns(Address, "kind value is_enabled"),
            left_out=frozenset(),
        ),
        Part(
            name="rules",
            model=PersonalRule,
            parent="contact",
            key=("priority", "method"),
            columns=columns(PersonalRule, "priority method delay_s"),
            left_out=frozenset(),
        ),
    ),
    check=_check_contact,
)

CHANNELS = Section(
    name="channels",
    model=Channel,
    key=("name",),
    columns=columns(Channel, "name kind address secret language is_enabled"),
    left_out=frozenset(),
    check=_check_channel,
)

PROVIDERS = Section(
    name="providers",
    model=Provider,
    key=("name",),
    columns=columns(
        Provider,
        "name kind position is_enabled account key_id secret second_secret sender"
        " voice_sender rate_per_s",
    ),
    # Another portal is called back at another address.
    left_out=frozenset({"url_token"}),
    check=_check_provider,
)
