"""The forms of one's own contact details."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from notifications.models.contact import MAX_DELAY_S, address_kinds, method_kinds
from notifications.routing import DEFAULTS
from notifications.validation import validate_time_zone
from t4g_portal.lib.priority import Priority


class AddAddressForm(forms.Form):
    """A new address of one's own."""

    kind = forms.ChoiceField(label=_("Kind"), choices=address_kinds)
    value = forms.CharField(label=_("Address"), max_length=254)


class DetailsForm(forms.Form):
    """In which language and zone somebody is told."""

    language = forms.ChoiceField(
        label=_("Language of messages"),
        choices=[("", _("The portal's")), *settings.LANGUAGES],
        required=False,
    )
    time_zone = forms.CharField(
        label=_("Time zone"), max_length=60, required=False, strip=True
    )

    def clean_time_zone(self) -> str:
        """Check that it exists."""
        zone = str(self.cleaned_data["time_zone"])
        for problem in validate_time_zone(time_zone=zone).values():
            raise forms.ValidationError(problem)
        return zone


class OwnRulesForm(forms.Form):
    """The table of priorities and methods; an empty cell is "not by this"."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for priority in Priority:
            for method, label in method_kinds():
                self.fields[f"{priority}_{method}"] = forms.IntegerField(
                    label=f"{priority.short} {label}",
                    min_value=0,
                    max_value=MAX_DELAY_S,
                    required=False,
                )

    def clean(self) -> dict[str, Any]:
        """Nobody switches off what may have to wake them."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        for priority, methods in self._chosen().items():
            if not methods and DEFAULTS[priority]:
                self.add_error(
                    None,
                    _("Choose at least one way for %(priority)s.")
                    % {"priority": Priority(priority).short},
                )
        return cleaned

    def wishes(self) -> dict[str, dict[str, int]]:
        """Return what differs from the usual way: priority → method → seconds."""
        return {
            priority: methods
            for priority, methods in self._chosen().items()
            if methods != {wish.method: wish.delay_s for wish in DEFAULTS[priority]}
        }

    def _chosen(self) -> dict[str, dict[str, int]]:
        return {
            str(priority): {
                method: delay_s
                for method, _label in method_kinds()
                if (delay_s := self.cleaned_data.get(f"{priority}_{method}"))
                is not None
            }
            for priority in Priority
        }
