"""Writing channels and providers without a form."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import transaction
from django.utils.translation import gettext as _

from notifications.models import Channel, Provider
from notifications.provider_rules import missing_provider_fields, validate_provider
from notifications.validation import missing_fields, validate_channel
from t4g_portal.lib import editing
from t4g_portal.lib.editing import Values
from t4g_portal.lib.faults import Fault
from t4g_portal.lib.secrets import UnableToDecrypt, has_secret
from t4g_portal.lib.versions import locked


def create_channel(*, values: Values) -> Channel:
    """Store a new channel; `values` may have its `secret`. Raises UnableToSave."""
    merged = {**editing.defaults(Channel), **values}
    editing.refuse(_channel_faults(merged, values.get("secret", "")))
    with transaction.atomic():
        channel = Channel()
        editing.assign(channel, values)
    return channel


def change_channel(
    *, channel_id: int, values: Values, expected: str | None = None
) -> Channel:
    """Change a channel; a `secret` is the new one, or clears it when empty.

    Raises UnableToSave, ChangedMeanwhile, Channel.DoesNotExist.
    """
    with locked(Channel.objects.all(), pk=channel_id, expected=expected) as channel:
        merged = {**editing.present(channel), **values}
        try:
            # Opened only when it is needed.
            is_new = "secret" in values
            secret = str(values["secret"]) if is_new else channel.secret
        except UnableToDecrypt:
            why = _("The stored secret can't be read. Enter it again.")
            editing.refuse([Fault("secret", why)])
        editing.refuse(_channel_faults(merged, secret))
        editing.assign(channel, values)
    return channel


def delete_channel(*, channel_id: int, expected: str | None = None) -> None:
    """Delete a channel that no message names."""
    editing.delete(rows=Channel.objects.all(), pk=channel_id, expected=expected)


def create_provider(*, values: Values) -> Provider:
    """Store a new provider; `values` may have its secrets. Raises UnableToSave."""
    return editing.create(model=Provider, values=values, check=_provider_faults)


def change_provider(
    *, provider_id: int, values: Values, expected: str | None = None
) -> Provider:
    """Change a provider; a secret is the new one, or clears it when empty.

    Raises UnableToSave, ChangedMeanwhile, Provider.DoesNotExist.
    """
    # What is not named stays as it is, readable or not: it is never opened.
    rows = Provider.objects.defer(*Provider.SECRETS)
    with locked(rows, pk=provider_id, expected=expected) as provider:
        kept = {name: has_secret(provider, name) for name in Provider.SECRETS}
        editing.refuse(
            _provider_faults({**kept, **editing.present(provider), **values})
        )
        editing.assign(provider, values)
    return provider


def delete_provider(*, provider_id: int, expected: str | None = None) -> None:
    """Delete a provider; what went through it stays."""
    editing.delete(rows=Provider.objects.all(), pk=provider_id, expected=expected)


def _provider_faults(values: Values) -> Iterator[Fault]:
    """Check a provider as it would be stored; of its secrets, whether they are there."""
    kind = values["kind"]
    found = validate_provider(
        kind=kind,
        account=values.get("account", ""),
        sender=values.get("sender", ""),
        voice_sender=values.get("voice_sender", ""),
    )
    if values["is_enabled"] and "kind" not in found:
        filled = {name for name, value in values.items() if value}
        found = missing_provider_fields(kind=kind, filled=filled) | found
    for field, message in found.items():
        yield Fault(field, message)


def _channel_faults(values: Values, secret: str) -> Iterator[Fault]:
    kind, address = values["kind"], values.get("address", "")
    found = validate_channel(kind=kind, address=address, secret=secret)
    if values["is_enabled"] and "kind" not in found:
        found |= missing_fields(kind=kind, address=address, has_secret=bool(secret))
    for field, message in found.items():
        yield Fault(field, message)
