"""Forms of the admin: a monitor asks for the options of its kind, and for no others.

The rules live with the probes and the models; a form finds the field to blame.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib.postgres.forms import SimpleArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from monitors import validation
from monitors.models import Assertion, Monitor
from monitors.probes import assertions, registry
from monitors.probes.base import AssertionSpec
from monitors.probes.options import OptionField

OPTION_PREFIX = "option_"
# What a kind that is never probed has no use for.
PROBED_ONLY = (
    "target",
    "new_secret",
    "clear_secret",
    "interval_s",
    "timeout_s",
    "retry_interval_s",
    "failures_to_down",
    "successes_to_up",
    "may_use_private_targets",
)


class TagsField(SimpleArrayField):
    """Words separated by commas; each counts once."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            forms.CharField(max_length=40, required=False),
            required=False,
            widget=UnfoldAdminTextInputWidget,
            **kwargs,
        )

    def clean(self, value: Any) -> list[str]:
        """Drop what is empty or doubled."""
        return list(dict.fromkeys(tag for tag in super().clean(value) or [] if tag))


class MonitorForm(forms.ModelForm):  # type: ignore[type-arg]
    """A monitor. `bind` makes the class for one kind and one person."""

    kind_name: ClassVar[str] = ""
    may_allow_private: ClassVar[bool] = False

    tags = TagsField(label=_("Tags"), help_text=_("Separated by commas."))
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
        model = Monitor
        fields = [
            "name",
            "service",
            "target",
            "tags",
            "runbook_url",
            "interval_s",
            "timeout_s",
            "retry_interval_s",
            "failures_to_down",
            "successes_to_up",
            "may_use_private_targets",
            "is_enabled",
            "counts_for_service",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.probe = registry.get(self.kind_name)
        self.instance.kind = self.kind_name
        self.has_secret = bool(getattr(self.instance, "has_secret", False))
        self._stored_options = dict(self.instance.options)
        for option in registry.describe_options(self.kind_name):
            self.initial.setdefault(
                OPTION_PREFIX + option.name,
                self._stored_options.get(option.name, option.default),
            )
        if "target" in self.fields:
            self._describe_probed()

    def _describe_probed(self) -> None:
        self.fields["target"].required = True
        self.fields["target"].help_text = _("Such as %(example)s") % {
            "example": self.probe.target_example
        }
        self.fields["new_secret"].help_text = (
            _("Set. Leave empty to keep it.") if self.has_secret else _("Not set.")
        )
        private = self.fields["may_use_private_targets"]
        if not self.may_allow_private:
            private.disabled = True
            private.help_text = _(
                "Only people with the permission to watch private networks change this."
            )
        limits: dict[str, tuple[float, float]] = {
            "interval_s": (1, validation.MAX_INTERVAL_S),
            "timeout_s": (0.1, validation.MAX_TIMEOUT_S),
            "retry_interval_s": (1, validation.MAX_INTERVAL_S),
            "failures_to_down": (1, 1000),
            "successes_to_up": (1, 1000),
        }
        for name, (least, most) in limits.items():
            field = self.fields[name]
            field.min_value, field.max_value = least, most  # type: ignore[attr-defined]
            field.validators += [
                MinValueValidator(least),
                MaxValueValidator(most),
            ]

    def clean(self) -> dict[str, Any]:
        """Check target and options as the probe will read them."""
        cleaned = super().clean() or self.cleaned_data
        options = self._typed_options(cleaned)
        for fault in validation.option_faults(kind=self.kind_name, options=options):
            self._blame(OPTION_PREFIX + fault.inside, fault.message)
        if self.instance.pk is not None:
            for fault in validation.rerouting_faults(
                kind=self.kind_name,
                old=self._stored_options,
                new=options,
                is_private=self.instance.may_use_private_targets,
                may_allow_private=self.may_allow_private,
            ):
                self._blame(OPTION_PREFIX + fault.inside, fault.message)
        self.instance.options = options
        if "target" in self.fields and "target" not in self.errors:
            self._check_target(cleaned)
        for fault in validation.timing_faults(cleaned):
            if fault.field not in self.errors:
                self._blame(fault.field, fault.message)
        self._check_secret(cleaned)
        return cleaned

    def _typed_options(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """Return what differs from the defaults, so that those may improve."""
        options = {}
        for option in registry.describe_options(self.kind_name):
            value = cleaned.get(OPTION_PREFIX + option.name)
            if option.type == "lines" and isinstance(value, str):
                value = value.replace("\r\n", "\n")
            if value is not None and value != option.default:
                options[option.name] = value
        return options

    def _check_target(self, cleaned: dict[str, Any]) -> None:
        target = cleaned.get("target", "")
        faults = list(validation.target_faults(kind=self.kind_name, target=target))
        if not faults:
            faults += validation.moving_faults(
                old=self.initial.get("target") or "",
                new=target,
                is_private=self.instance.may_use_private_targets,
                may_allow_private=self.may_allow_private,
                has_secret=self.has_secret,
                is_secret_given=bool(
                    cleaned.get("new_secret") or cleaned.get("clear_secret")
                ),
            )
        for fault in faults:
            field = "new_secret" if fault.field == "secret" else fault.field
            self._blame(field, fault.message)

    def _check_secret(self, cleaned: dict[str, Any]) -> None:
        if cleaned.get("new_secret") and cleaned.get("clear_secret"):
            self._blame(
                "clear_secret",
                _("Enter a new secret or clear the old one, not both."),
            )

    def _blame(self, field: str, message: Any) -> None:
        self.add_error(field if field in self.fields else None, message)

    def save(self, commit: bool = True) -> Monitor:
        """Save; a secret that wasn't touched isn't written either."""
        secret = self.cleaned_data.get("new_secret", "")
        if secret or self.cleaned_data.get("clear_secret"):
            self.instance.secret = secret
        monitor: Monitor = super().save(commit)
        return monitor


def bind(*, kind: str, may_allow_private: bool) -> type[MonitorForm]:
    """Return the form of a kind, with a field for each of its options.

    Raises UnableToParse for a kind that doesn't exist.
    """
    fields: dict[str, Any] = {
        OPTION_PREFIX + option.name: _option_field(option)
        for option in registry.describe_options(kind)
    }
    if registry.get(kind).is_passive:
        # Django takes None for "this form does without".
        fields |= dict.fromkeys(("new_secret", "clear_secret"))
    return type(
        "MonitorForm",
        (MonitorForm,),
        {**fields, "kind_name": kind, "may_allow_private": may_allow_private},
    )


def option_names(kind: str) -> list[str]:
    """Return the names of the form's fields for a kind's options, in their order."""
    return [OPTION_PREFIX + option.name for option in registry.describe_options(kind)]


def _option_field(option: OptionField) -> forms.Field:
    said: dict[str, Any] = {
        "label": capfirst(option.label),
        "help_text": option.help,
    }
    number: dict[str, Any] = {
        "min_value": option.minimum,
        "max_value": option.maximum,
        **said,
    }
    match option.type:
        case "switch":
            return forms.BooleanField(
                required=False, widget=UnfoldBooleanSwitchWidget, **said
            )
        case "integer":
            return forms.IntegerField(widget=UnfoldAdminIntegerFieldWidget, **number)
        case "number":
            return forms.FloatField(widget=UnfoldAdminDecimalFieldWidget, **number)
        case "choice":
            return forms.ChoiceField(
                choices=option.choices, widget=UnfoldAdminSelectWidget, **said
            )
        case "lines":
            return forms.CharField(
                required=False,
                strip=False,
                widget=UnfoldAdminTextareaWidget({"rows": 3}),
                **said,
            )
        case _:
            return forms.CharField(
                required=False, widget=UnfoldAdminTextInputWidget, **said
            )


class AssertionForm(forms.ModelForm):  # type: ignore[type-arg]
    """One expectation, checked against what the kind sees."""

    kind_name: ClassVar[str] = ""

    class Meta:
        model = Assertion
        fields = ["position", "subject", "argument", "operator", "expected"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        seen = registry.get(self.kind_name).subjects
        self.fields["subject"] = _choice(
            self.fields["subject"],
            (line for line in assertions.SUBJECTS.items() if line[0] in seen),
        )
        self.fields["operator"] = _choice(
            self.fields["operator"], assertions.OPERATORS.items()
        )

    def clean(self) -> dict[str, Any]:
        """Check the expectation, naming the part that makes no sense."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        spec = AssertionSpec(
            subject=cleaned["subject"],
            operator=cleaned["operator"],
            argument=cleaned["argument"],
            expected=cleaned["expected"],
        )
        for fault in validation.assertion_faults(kind=self.kind_name, spec=spec):
            self.add_error(
                fault.field if fault.field in self.fields else None, fault.message
            )
        return cleaned


def _choice(field: forms.Field, choices: Iterable[tuple[str, Any]]) -> forms.Field:
    return forms.ChoiceField(
        label=field.label,
        help_text=field.help_text,
        choices=[("", "–"), *choices],
        widget=UnfoldAdminSelectWidget,
    )
