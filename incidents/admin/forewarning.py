"""An edit in the admin that would do harm is said before it is saved.

The edit is made in full, what became of it is looked at, and all of it is taken back
when somebody ought to know first. The form then comes again with what was typed, says
what would be, and offers to save it all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldBooleanSwitchWidget

from incidents.expectations import foreseeing
from t4g_portal.lib.admin import PortalAdmin


class WouldHarm(Exception):
    """Somebody ought to know of this before it is saved."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("; ".join(sentences))
        self.sentences = sentences


class ForewarnedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form that can be told what its edit would do."""

    save_anyway = forms.BooleanField(
        label=gettext_lazy("Save it all the same"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
    )
    # Set by the admin, on a class of its own, when an edit was taken back.
    warnings: Sequence[str] = ()

    def clean(self) -> dict[str, Any]:
        """Say that there is something to know first."""
        cleaned = super().clean() or self.cleaned_data
        if self.warnings:
            self.add_error(
                None,
                _(
                    "Nothing is saved yet. Read first what it would do, which is listed"
                    " below. Change it, or tick “Save it all the same”."
                ),
            )
        return cleaned


class ForewarningAdmin(PortalAdmin):
    """The admin of something that decides who is told. Its form is a `ForewarnedForm`."""

    form: Any = ForewarnedForm

    def sentences(self, request: HttpRequest, row: Any) -> list[str]:
        """Say what an edit that was just made does; it is taken back if there is any."""
        return foreseeing.newly_broken(now=timezone.now())

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        found = _warnings(request)
        return type(form.__name__, (form,), {"warnings": found}) if found else form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = [*super().get_fieldsets(request, obj)]
        found = _warnings(request)
        if found:
            listed = format_html_join("", "<li>{}</li>", ((one,) for one in found))
            said = format_html("<ul>{}</ul>", listed)
            fields = {"fields": ["save_anyway"], "description": said}
            fieldsets.insert(0, (_("What this would do"), fields))
        return fieldsets

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [
            name for name in super().get_fields(request, obj) if name != "save_anyway"
        ]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except WouldHarm as found:
            request.forewarnings = found.sentences  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        # The list's own form, which edits many at once, has no place to warn.
        can_warn = isinstance(form, ForewarnedForm)
        if not can_warn or form.cleaned_data.get("save_anyway"):
            return
        found = self.sentences(request, form.instance)
        if found:
            raise WouldHarm(found)


def _warnings(request: HttpRequest) -> Sequence[str]:
    found: Sequence[str] = getattr(request, "forewarnings", ())
    return found
