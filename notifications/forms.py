"""Forms of the admin: secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanSwitchWidget

from notifications.models import Address, Channel, Contact
from notifications.validation import (
    missing_fields,
    validate_address,
    validate_channel,
    validate_time_zone,
)
from t4g_portal.lib.secrets import UnableToDecrypt


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    """A channel, whose stored secret is neither shown nor needed to save the rest."""

    new_secret = forms.CharField(
        label=_("Secret"),
        required=False,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
    )
    clear_secret = forms.BooleanField(
        label=_("Clear the secret"), required=False, widget=UnfoldBooleanSwitchWidget
    )

    class Meta:
        model = Channel
        fields = ["name", "kind", "address", "language", "is_enabled"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.has_secret = bool(getattr(self.instance, "has_secret", False))
        what = _("Slack: the webhook URL. Signed webhook: its signing secret.")
        state = _("Set. Leave empty to keep it.") if self.has_secret else _("Not set.")
        self.fields["new_secret"].help_text = f"{state} {what}"

    def clean(self) -> dict[str, Any]:
        """Check the channel as it would be saved, naming the field at fault."""
        cleaned = super().clean() or self.cleaned_data
        kind, address = cleaned.get("kind", ""), cleaned.get("address", "")
        secret = self._secret(cleaned)
        problems = validate_channel(kind=kind, address=address, secret=secret)
        if cleaned.get("is_enabled"):
            missing = missing_fields(
                kind=kind, address=address, has_secret=bool(secret)
            )
            problems = missing | problems
        for field, problem in problems.items():
            self.add_error("new_secret" if field == "secret" else field, problem)
        return cleaned

    def save(self, commit: bool = True) -> Channel:
        """Save; a secret that wasn't touched isn't written either."""
        if self.cleaned_data["new_secret"] or self.cleaned_data["clear_secret"]:
            self.instance.secret = self.cleaned_data["new_secret"]
        channel: Channel = super().save(commit)
        return channel

    def _secret(self, cleaned: dict[str, Any]) -> str:
        typed = str(cleaned.get("new_secret", ""))
        is_cleared = bool(cleaned.get("clear_secret"))
        if typed and is_cleared:
            self.add_error(
                "clear_secret", _("Enter a new secret or clear the old one, not both.")
            )
        if typed or is_cleared or not self.has_secret:
            return typed
        try:
            return str(self.instance.secret)
        except UnableToDecrypt:
            self.add_error(
                "new_secret", _("The stored secret can't be read. Enter it again.")
            )
            return ""


class ContactForm(forms.ModelForm):  # type: ignore[type-arg]
    """A person or a shared mailbox or phone."""

    class Meta:
        model = Contact
        fields = ["name", "user", "language", "time_zone", "is_enabled"]

    def clean(self) -> dict[str, Any]:
        """Check the time zone."""
        cleaned = super().clean() or self.cleaned_data
        problems = validate_time_zone(time_zone=cleaned.get("time_zone", ""))
        for field, problem in problems.items():
            self.add_error(field, problem)
        return cleaned


class AddressForm(forms.ModelForm):  # type: ignore[type-arg]
    """One way to reach a contact."""

    class Meta:
        model = Address
        fields = ["kind", "value", "is_enabled"]

    def clean(self) -> dict[str, Any]:
        """Check the value against its kind."""
        cleaned = super().clean() or self.cleaned_data
        if "kind" in cleaned and "value" in cleaned:
            problems = validate_address(kind=cleaned["kind"], value=cleaned["value"])
            for field, problem in problems.items():
                self.add_error(field, problem)
        return cleaned
