"""What people fill in on the pages of checklists. Rules are the services', not these forms'."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from checklists.models import ChecklistTemplate, SignOff, TemplateVersion
from checklists.models.evidence import MAX_FILE_BYTES
from checklists.models.template import MAX_TITLE
from checklists.showing.states import in_language
from incidents.deploy_windows import MAX_MINUTES, MAX_REASON
from incidents.models import Service
from notifications.models import Contact
from t4g_portal.lib.commits import COMMIT

MAX_TEXT = 2_000
MAX_WAIVER_DAYS = 90
# As browsers write it, and as people type it where the browser has no such field.
_FORMATS = ("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_ENVIRONMENTS = ("production", "staging")


def _text(
    label: Any, *, required: Any = "", rows: int = 2, help_text: Any = ""
) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=bool(required),
        max_length=MAX_TEXT,
        help_text=help_text,
        widget=forms.Textarea(attrs={"class": "ops-field cl-text", "rows": rows}),
        error_messages={
            "required": required,
            "max_length": _("Write at most %(limit_value)d characters."),
        },
    )


def _line(label: Any, *, max_length: int, **options: Any) -> forms.CharField:
    attributes = {"class": "ops-field", "autocomplete": "off"}
    attributes |= options.pop("attrs", {})
    return forms.CharField(
        label=label,
        max_length=max_length,
        widget=forms.TextInput(attrs=attributes),
        **options,
    )


def _sha(label: Any) -> forms.CharField:
    return _line(
        label,
        max_length=64,
        help_text=_(
            "Best in full: the gate compares it with the one that is deployed."
        ),
        attrs={"class": "ops-field cl-code", "spellcheck": "false"},
        error_messages={"required": _("Give the commit of the release.")},
    )


class SignForm(forms.Form):
    """A signature: its meaning, a comment, and the password when the last is too old."""

    meaning = forms.ChoiceField(
        label=_("You say that you have"),
        choices=[
            (SignOff.Meaning.CHECKED, _("checked it: you looked yourself")),
            (
                SignOff.Meaning.APPROVED,
                _("approved it: you rely on the evidence above"),
            ),
        ],
        widget=forms.RadioSelect,
        initial=SignOff.Meaning.CHECKED,
        error_messages={"required": _("Say what your signature means.")},
    )
    comment = _text(_("Comment"), rows=1)
    # What the signer has read; the service refuses when it has changed meanwhile.
    seen = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)


class ReasonForm(forms.Form):
    """Why something is undone."""

    reason = _text(_("Reason"), required=_("Say why."))


class LinkForm(forms.Form):
    """Proof that stands elsewhere."""

    title = _line(
        _("What it shows"),
        max_length=MAX_TITLE,
        error_messages={"required": _("Say what it shows.")},
    )
    url = forms.URLField(
        label=_("Address"),
        max_length=1000,
        assume_scheme="https",
        widget=forms.URLInput(attrs={"class": "ops-field", "inputmode": "url"}),
        error_messages={
            "required": _("Give the address."),
            "invalid": _("Give an address that begins with https://."),
        },
    )


class NoteForm(forms.Form):
    """Proof in words: what somebody saw."""

    title = _line(
        _("What it shows"),
        max_length=MAX_TITLE,
        error_messages={"required": _("Say what it shows.")},
    )
    text = _text(_("What you saw"), required=_("Write what you saw."), rows=3)


class FileForm(forms.Form):
    """Proof as a file, such as a picture of a screen."""

    title = _line(
        _("What it shows"),
        max_length=MAX_TITLE,
        error_messages={"required": _("Say what it shows.")},
    )
    file = forms.FileField(
        label=_("File, up to 2 MB"),
        max_length=200,
        widget=forms.FileInput(attrs={"class": "cl-file"}),
        error_messages={
            "required": _("Choose a file."),
            "empty": _("This file is empty. Choose another one."),
            "max_length": _("The file's name is too long. Rename it."),
        },
    )

    def clean_file(self) -> Any:
        """Refuse what is too big before it is read."""
        file = self.cleaned_data["file"]
        if file.size > MAX_FILE_BYTES:
            raise forms.ValidationError(
                _("This file is larger than 2 MB. Put it elsewhere and add a link.")
            )
        return file


class WaiverForm(forms.Form):
    """The wish to release without an item, for a time."""

    reason = _text(_("Why not now"), required=_("Say why it can't be done now."))
    risk = _text(_("Risk"), required=_("Say what can go wrong."))
    compensating_control = _text(
        _("What is done instead"), required=_("Say what limits the risk meanwhile.")
    )
    days = forms.IntegerField(
        label=_("For so many days"),
        min_value=1,
        max_value=MAX_WAIVER_DAYS,
        initial=14,
        widget=forms.NumberInput(
            attrs={"class": "ops-field", "inputmode": "numeric", "min": 1, "max": 90}
        ),
        error_messages={
            "required": _("Say for how many days."),
            "invalid": _("Enter a number."),
            "min_value": _("At least 1 day."),
            "max_value": _("At most 90 days."),
        },
    )

    def expires_at(self, *, now: datetime) -> datetime:
        """Return when it ends."""
        return now + timedelta(days=self.cleaned_data["days"])


class OwnerForm(forms.Form):
    """Who sees to an item."""

    owner = forms.ModelChoiceField(
        label=_("Owner"),
        queryset=Contact.objects.order_by("name"),
        required=False,
        empty_label=_("nobody"),
        widget=forms.Select(attrs={"class": "ops-field"}),
    )


class CommitForm(forms.Form):
    """The next commit of a release: what was signed on the last one counts no more."""

    git_sha = _sha(_("New commit"))
    deployment = _line(_("Deployment"), max_length=500, required=False)

    def clean_git_sha(self) -> str:
        """Take a commit as Git writes it."""
        return clean_sha(self.cleaned_data["git_sha"])


class WindowForm(forms.Form):
    """For how long alerts of the service may wait at the most."""

    minutes = forms.IntegerField(
        label=_("Minutes at the most"),
        initial=30,
        min_value=1,
        max_value=MAX_MINUTES,
        widget=forms.NumberInput(attrs={"class": "ops-field"}),
    )
    reason = _line(
        _("What is deployed"),
        max_length=MAX_REASON,
        error_messages={"required": _("Say what is deployed.")},
    )


class RunForm(forms.Form):
    """A new run of a published checklist."""

    template = forms.ModelChoiceField(
        label=_("Checklist"),
        queryset=ChecklistTemplate.objects.none(),
        empty_label=None,
        widget=forms.Select(attrs={"class": "ops-field"}),
        error_messages={"required": _("Choose a checklist.")},
    )
    service = forms.ModelChoiceField(
        label=_("Service"),
        queryset=Service.objects.order_by("position", "name"),
        empty_label=None,
        widget=forms.Select(attrs={"class": "ops-field"}),
        error_messages={"required": _("Choose a service.")},
    )
    environment = forms.SlugField(
        label=_("Environment"),
        max_length=60,
        initial=_ENVIRONMENTS[0],
        widget=forms.TextInput(
            attrs={"class": "ops-field", "autocapitalize": "none", "list": "cl-places"}
        ),
        error_messages={
            "required": _("Name the environment, such as production."),
            "invalid": _("Use letters, digits and dashes, such as production."),
        },
    )
    git_sha = _sha(_("Commit"))
    deployment = _line(
        _("Deployment"),
        max_length=500,
        required=False,
        help_text=_("Its address or number, if there is one yet."),
    )
    title = _line(
        _("Title"),
        max_length=MAX_TITLE,
        required=False,
        help_text=_("What people call this release, such as 2026.12."),
    )
    deadline = forms.DateTimeField(
        label=_("Expires"),
        required=False,
        input_formats=_FORMATS,
        help_text=_("Empty: it stays open until somebody closes it."),
        widget=forms.DateTimeInput(
            format="%Y-%m-%dT%H:%M",
            attrs={"type": "datetime-local", "class": "ops-field"},
        ),
        error_messages={"invalid": _("Write it as 2026-03-01 14:00.")},
    )

    def __init__(
        self, *args: Any, versions: Mapping[int, TemplateVersion], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["template"]
        field.queryset = ChecklistTemplate.objects.filter(pk__in=versions).order_by(
            "name"
        )
        field.label_from_instance = lambda row: in_language(row.name, row.name_fr)

    def clean_git_sha(self) -> str:
        """Take a commit as Git writes it."""
        return clean_sha(self.cleaned_data["git_sha"])

    def clean_environment(self) -> str:
        """Environments differ by more than their capitals."""
        environment: str = self.cleaned_data["environment"]
        return environment.lower()

    def clean_deadline(self) -> datetime | None:
        """Refuse a moment that is over."""
        deadline: datetime | None = self.cleaned_data["deadline"]
        if deadline is not None and deadline <= timezone.now():
            raise forms.ValidationError(_("Choose a moment to come."))
        return deadline


def clean_sha(text: str) -> str:
    """Return a commit in small letters; raise ValidationError for what is none."""
    sha = text.strip().lower()
    if not re.fullmatch(COMMIT, sha):
        raise forms.ValidationError(
            _("That is no commit: 7 to 64 of the digits 0–9 and a–f.")
        )
    return sha
