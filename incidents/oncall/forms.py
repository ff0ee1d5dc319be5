"""What people type about the on-call calendar; times are of the reader's zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from incidents.models import Schedule
from incidents.oncall import wall
from notifications.models import Contact
from t4g_portal.lib.zones import YEARS

MAX_REASON = 200
_MAX_MESSAGE = 500


class MomentField(forms.CharField):
    """A wall time of the reader's zone, also on the nights on which the clocks change.

    A beginning is the first occurrence of a wall time, an end the last one; a time that
    is skipped is the moment of the skip.
    """

    def __init__(self, *, is_end: bool, **rest: Any) -> None:
        widget = forms.DateTimeInput(
            attrs={"type": "datetime-local", "class": "ops-field"},
            format="%Y-%m-%dT%H:%M",
        )
        super().__init__(widget=widget, **rest)
        self._is_end = is_end

    def prepare_value(self, value: Any) -> Any:
        """Show a moment by the clock of the reader's zone."""
        if isinstance(value, datetime):
            return timezone.localtime(value).strftime("%Y-%m-%dT%H:%M")
        return value

    def clean(self, value: Any) -> Any:
        """Return the moment in UTC, None when nothing was typed."""
        text = super().clean(value)
        if not text:
            return None
        moment = moment_from(text, is_end=self._is_end)
        if moment is None:
            raise ValidationError(_("Enter a day and a time."))
        return moment


def moment_from(text: str, *, is_end: bool) -> datetime | None:
    """Read an ISO moment, or a wall time of the reader's zone; None for what is none."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.year not in YEARS:
            # Clocks, and hours before and after, must exist.
            return None
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        zone = timezone.get_current_timezone()
        return (wall.last if is_end else wall.first)(moment, zone)
    except (ValueError, OverflowError):
        return None


class PeriodForm(forms.Form):
    """From when until when, and whether a gap is wanted.

    `broken`: what must stay true and would not, in sentences.
    """

    broken: Sequence[str] = ()

    starts_at = MomentField(label=_("From"), is_end=False)
    ends_at = MomentField(label=_("Until"), is_end=True)
    may_leave_gaps = forms.BooleanField(
        label=_("Nobody needs to be on call then. Save it all the same."),
        required=False,
    )


class ChangeForm(PeriodForm):
    """Who is on call instead."""

    schedule = forms.ModelChoiceField(
        label=_("Schedule"), queryset=Schedule.objects.none(), empty_label=None
    )
    contact = forms.ModelChoiceField(
        label=_("On call instead"),
        queryset=Contact.objects.none(),
        empty_label=_("Choose somebody"),
        error_messages={"required": _("Choose who is on call instead.")},
    )
    reason = forms.CharField(label=_("Reason"), required=False, max_length=MAX_REASON)

    def __init__(
        self,
        data: Any = None,
        *,
        people: Sequence[int],
        me: Contact | None,
        **rest: Any,
    ) -> None:
        super().__init__(data, **rest)
        self._fields("schedule").queryset = Schedule.objects.order_by("name")
        choice = self._fields("contact")
        # The dialog begins there: the times are dragged already.
        choice.widget.attrs["data-first"] = ""
        choice.queryset = Contact.objects.filter(
            pk__in=people, is_enabled=True
        ).order_by("name")
        if me is not None:
            choice.label_from_instance = lambda contact: (
                str(_("Me, %(name)s") % {"name": contact})
                if contact == me
                else str(contact)
            )
        _style(self)

    def _fields(self, name: str) -> Any:
        return self.fields[name]


class SwapForm(PeriodForm):
    """Whom to ask to take one's shift, perhaps for one in return."""

    schedule = forms.ModelChoiceField(
        queryset=Schedule.objects.all(), widget=forms.HiddenInput
    )
    other = forms.ModelChoiceField(
        label=_("Ask"),
        queryset=Contact.objects.none(),
        empty_label=_("Choose somebody"),
        error_messages={"required": _("Choose whom to ask.")},
    )
    return_starts_at = MomentField(
        label=_("In return from"), is_end=False, required=False
    )
    return_ends_at = MomentField(label=_("until"), is_end=True, required=False)
    message = forms.CharField(
        label=_("Message"), required=False, max_length=_MAX_MESSAGE
    )

    def __init__(self, data: Any = None, *, me: Contact, **rest: Any) -> None:
        super().__init__(data, **rest)
        choice: Any = self.fields["other"]
        choice.queryset = (
            Contact.objects.filter(is_enabled=True, user__is_active=True)
            .exclude(pk=me.pk)
            .order_by("name")
        )
        _style(self)

    def clean(self) -> dict[str, Any]:
        """Refuse half of a return."""
        values = super().clean() or {}
        ends = values.get("return_starts_at"), values.get("return_ends_at")
        if (ends[0] is None) != (ends[1] is None):
            raise ValidationError(
                _("Give both times of the shift in return, or neither.")
            )
        return values


class AbsenceForm(PeriodForm):
    """When somebody is away."""

    # Who has no shifts of their own must say whose absence it is.
    contact = forms.ModelChoiceField(
        label=_("Who"),
        queryset=Contact.objects.none(),
        empty_label=_("Choose somebody"),
        error_messages={"required": _("Choose who is away.")},
    )
    reason = forms.CharField(
        label=_("Reason"),
        required=False,
        max_length=MAX_REASON,
        help_text=_("Everybody who sees the calendar can read it."),
    )

    def __init__(self, data: Any = None, *, people: Sequence[int], **rest: Any) -> None:
        super().__init__(data, **rest)
        choice: Any = self.fields["contact"]
        choice.queryset = Contact.objects.filter(
            pk__in=people, is_enabled=True
        ).order_by("name")
        _style(self)


def _style(form: forms.Form) -> None:
    """Dress the fields; last, because it asks what is wrong with them."""
    for name, field in form.fields.items():
        if not isinstance(field, forms.BooleanField):
            field.widget.attrs.setdefault("class", "ops-field")
        if form.is_bound and name in form.errors:
            field.widget.attrs["aria-invalid"] = "true"
