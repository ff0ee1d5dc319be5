"""Forms of the admin: secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanSwitchWidget

from notifications.models import Address, Channel, Contact, PersonalRule, Provider
from notifications.people import catch_all_faults
from notifications.provider_rules import missing_provider_fields, validate_provider
from notifications.validation import (
    missing_fields,
    normal_value,
    validate_address,
    validate_channel,
    validate_time_zone,
)
from t4g_portal.lib.secrets import UnableToDecrypt, has_secret


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
        what = _(
            "Slack: the webhook URL. Signed webhook: its signing secret. Apprise: its "
            "URL."
        )
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


class ProviderForm(forms.ModelForm):  # type: ignore[type-arg]
    """A provider, whose stored secrets are neither shown nor needed to save the rest."""

    new_secret = forms.CharField(
        label=_("Secret"),
        required=False,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
    )
    new_second_secret = forms.CharField(
        label=_("Second secret"),
        required=False,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
    )
    clear_secrets = forms.BooleanField(
        label=_("Clear both secrets"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
    )

    class Meta:
        model = Provider
        fields = [
            "name",
            "kind",
            "position",
            "is_enabled",
            "account",
            "key_id",
            "sender",
            "voice_sender",
            "rate_per_s",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        what = {
            "secret": _(
                "Twilio: the auth token. OVHcloud: the application secret. Slack: the "
                "bot token (xoxb-…)."
            ),
            "second_secret": _(
                "OVHcloud: the consumer key. Slack: the signing secret. Twilio: none."
            ),
        }
        for name, text in what.items():
            is_set = self._is_stored(name)
            state = _("Set. Leave empty to keep it.") if is_set else _("Not set.")
            self.fields[f"new_{name}"].help_text = f"{state} {text}"

    def clean(self) -> dict[str, Any]:
        """Check the provider as it would be saved, naming the field at fault."""
        cleaned = super().clean() or self.cleaned_data
        names = ("kind", "account", "key_id", "sender", "voice_sender")
        values = {name: cleaned.get(name, "") for name in names}
        problems = validate_provider(
            **{name: value for name, value in values.items() if name != "key_id"}
        )
        if cleaned.get("is_enabled") and "kind" not in problems:
            filled = {name for name, value in values.items() if value}
            filled |= {name for name in Provider.SECRETS if self._will_be_set(name)}
            problems = missing_provider_fields(kind=values["kind"], filled=filled) | (
                problems
            )
        if cleaned.get("clear_secrets") and any(
            cleaned.get(f"new_{name}") for name in Provider.SECRETS
        ):
            problems["clear_secrets"] = str(
                _("Enter new secrets or clear the old ones, not both.")
            )
        for field, problem in problems.items():
            is_secret = field in Provider.SECRETS
            self.add_error(f"new_{field}" if is_secret else field, problem)
        return cleaned

    def save(self, commit: bool = True) -> Provider:
        """Save; a secret that wasn't touched isn't written either."""
        for name in Provider.SECRETS:
            typed = self.cleaned_data[f"new_{name}"]
            if typed or self.cleaned_data["clear_secrets"]:
                setattr(self.instance, name, typed)
        provider: Provider = super().save(commit)
        return provider

    def _is_stored(self, name: str) -> bool:
        return self.instance.pk is not None and has_secret(self.instance, name)

    def _will_be_set(self, name: str) -> bool:
        if self.cleaned_data.get(f"new_{name}"):
            return True
        return self._is_stored(name) and not self.cleaned_data.get("clear_secrets")


class ContactForm(forms.ModelForm):  # type: ignore[type-arg]
    """A person or a shared mailbox or phone."""

    class Meta:
        model = Contact
        fields = [
            "name",
            "user",
            "language",
            "time_zone",
            "is_enabled",
            "is_catch_all",
        ]

    def clean(self) -> dict[str, Any]:
        """Check the time zone, and that there is one catch-all."""
        cleaned = super().clean() or self.cleaned_data
        problems = validate_time_zone(time_zone=cleaned.get("time_zone", ""))
        for field, problem in problems.items():
            self.add_error(field, problem)
        if cleaned.get("is_catch_all"):
            for fault in catch_all_faults(contact_id=self.instance.pk):
                self.add_error(fault.field, fault.message)
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
            cleaned["value"] = normal_value(
                kind=cleaned["kind"], value=cleaned["value"]
            )
            problems = validate_address(kind=cleaned["kind"], value=cleaned["value"])
            for field, problem in problems.items():
                self.add_error(field, problem)
        return cleaned


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """How a contact wishes to be told of a priority."""

    class Meta:
        model = PersonalRule
        fields = ["priority", "method", "delay_s"]
