"""The admin's form of a data source: it asks for what its kind needs, and no more."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanSwitchWidget,
)

from kpis import validation
from kpis.models import DataSource
from kpis.sources import registry

# What each kind is asked for, beside its name and whether it is enabled.
FIELDS_OF: dict[str, tuple[tuple[str, ...], ...]] = {
    "postgres": (
        ("url", "new_secret", "clear_secret"),
        ("allowed_tables", "timeout_s", "may_use_private_targets"),
    ),
    "http": (
        ("url", "header", "new_secret", "clear_secret"),
        ("timeout_s", "may_use_private_targets"),
    ),
    "portal": (("timeout_s",),),
    registry.MANUAL: (),
}
_EXAMPLES = {
    "postgres": "postgresql://t4g_kpi@db.example.org:5432/app",
    "http": "https://api.example.org/api/metrics/business",
}


class TablesField(forms.CharField):
    """Names of tables, one a line."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        words = str(value or "").replace(",", " ").split()
        return list(dict.fromkeys(words))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != (initial or []))


class DataSourceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A data source. `bind` makes the class for one kind and one person."""

    kind_name: ClassVar[str] = ""
    may_allow_private: ClassVar[bool] = False

    allowed_tables = TablesField(
        label=_("Tables that may be read"),
        required=False,
        widget=UnfoldAdminTextareaWidget({"rows": 4}),
        help_text=_(
            "One a line: public.user_activities, or kpi.* for a schema of views."
        ),
    )
    new_secret = forms.CharField(
        label=_("Password or token"),
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
    )
    clear_secret = forms.BooleanField(
        label=_("Clear the secret"), required=False, widget=UnfoldBooleanSwitchWidget
    )

    class Meta:
        model = DataSource
        fields = [
            "name",
            "is_enabled",
            "url",
            "header",
            "allowed_tables",
            "timeout_s",
            "may_use_private_targets",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.kind = self.kind_name
        self.has_secret = bool(getattr(self.instance, "has_secret", False))
        self._url_before = self.instance.url
        if "url" in self.fields:
            self.fields["url"].help_text = _("Such as %(example)s") % {
                "example": _EXAMPLES[self.kind_name]
            }
        if "new_secret" in self.fields:
            self.fields["new_secret"].help_text = (
                _("Set. Leave empty to keep it.") if self.has_secret else _("Not set.")
            )
        private = self.fields.get("may_use_private_targets")
        if private is not None and not self.may_allow_private:
            private.disabled = True
            private.help_text = _(
                "Only people with the permission to watch private networks change this."
            )

    def clean(self) -> dict[str, Any]:
        """Check the source as its kind will read it."""
        cleaned = super().clean() or self.cleaned_data
        new, is_cleared = cleaned.get("new_secret"), cleaned.get("clear_secret")
        values = {**cleaned, "kind": self.kind_name, "secret": new}
        faults = [
            *validation.source_faults(values),
            *validation.moving_faults(
                old=self._url_before,
                new=cleaned.get("url", ""),
                is_private=bool(self.initial.get("may_use_private_targets")),
                may_allow_private=self.may_allow_private,
                has_secret=self.has_secret,
                is_secret_given=bool(new or is_cleared),
            ),
        ]
        for fault in faults:
            field = "new_secret" if fault.field == "secret" else fault.field
            if field not in self.errors:
                self.add_error(field if field in self.fields else None, fault.message)
        if new and is_cleared:
            self.add_error(
                "clear_secret",
                _("Enter a new secret or clear the old one, not both."),
            )
        return cleaned

    def save(self, commit: bool = True) -> DataSource:
        """Save; a secret that wasn't touched isn't written either."""
        secret = self.cleaned_data.get("new_secret", "")
        if secret or self.cleaned_data.get("clear_secret"):
            self.instance.secret = secret
        source: DataSource = super().save(commit)
        return source


def bind(*, kind: str, may_allow_private: bool) -> type[DataSourceForm]:
    """Return the form of a kind."""
    wanted = {name for group in FIELDS_OF[kind] for name in group}
    # Django takes None for "this form does without".
    unwanted = dict.fromkeys(
        name
        for name in ("allowed_tables", "new_secret", "clear_secret")
        if name not in wanted
    )
    return type(
        "DataSourceForm",
        (DataSourceForm,),
        {**unwanted, "kind_name": kind, "may_allow_private": may_allow_private},
    )
