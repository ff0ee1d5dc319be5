"""An edit in the admin that leaves time without anybody is said before it is saved.

The edit is made in full, its calendar compared with the one before, and all of it taken
back when somebody would be missing. The form then comes again with what was typed, says
when nobody would be on call, and offers to save it all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldBooleanSwitchWidget

from incidents.oncall import recording, who
from incidents.oncall.acting import LeavesGap, gap_sentences
from incidents.oncall.plan import Plan
from t4g_portal.lib.admin import PortalAdmin


class GapForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form that can be told that its edit leaves gaps."""

    leave_gap = forms.BooleanField(
        label=gettext_lazy("Save it all the same"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
    )
    # Set by the admin, on a class of its own, when an edit was taken back.
    gaps: Collection[str] = ()

    def clean(self) -> dict[str, Any]:
        """Say when nobody would be on call."""
        cleaned = super().clean() or self.cleaned_data
        if self.gaps:
            self.add_error(
                None,
                _(
                    "Nothing is saved yet: it would leave time with nobody on call, which is"
                    " listed below. Change it, or tick “Save it all the same”."
                ),
            )
        return cleaned


@dataclass(frozen=True, slots=True)
class Part:
    """What the rows of a table have to do with who is on call.

    `schedules`: those that a row has a part in.
    `without`: a plan as it would be if the row were gone.
    """

    schedules: Callable[[Any], Collection[int]]
    without: Callable[[Plan, Any], Plan]


class GapWarningAdmin(PortalAdmin):
    """The admin of something that decides who is on call. Its form is a `GapForm`."""

    part: Part

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        gaps = getattr(request, "on_call_gaps", ())
        return type(form.__name__, (form,), {"gaps": gaps}) if gaps else form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        found = [*super().get_fieldsets(request, obj)]
        gaps = getattr(request, "on_call_gaps", ())
        if gaps:
            listed = format_html_join("", "<li>{}</li>", ((gap,) for gap in gaps))
            said = format_html("<ul>{}</ul>", listed)
            fields = {"fields": ["leave_gap"], "description": said}
            found.insert(0, (_("Nobody on call"), fields))
        return found

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [
            name for name in super().get_fields(request, obj) if name != "leave_gap"
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
        except LeavesGap as found:
            request.on_call_gaps = found.sentences  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        now = timezone.now()
        ids = set(self.part.schedules(obj))
        if change:
            # It may be moved from one schedule or person to another.
            ids |= set(self.part.schedules(self.get_queryset(request).get(pk=obj.pk)))
        recording.record(schedule_ids=ids, now=now)
        request.on_call_before = (now, who.plan_of(ids, since=now))  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        if form.cleaned_data.get("leave_gap"):
            return
        now, before = request.on_call_before  # type: ignore[attr-defined]
        after = who.plan_of(list(before), since=now)
        sentences = gap_sentences(before, after, now)
        if sentences:
            raise LeavesGap(sentences)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Say when nobody would be on call, on the page that asks about one or many."""
        if "post" not in request.POST:
            for sentence in self._sentences_without(list(objs)):
                messages.warning(request, sentence)
        return super().get_deleted_objects(objs, request)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        recording.record(schedule_ids=self.part.schedules(obj), now=timezone.now())
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        ids = {pk for row in queryset for pk in self.part.schedules(row)}
        recording.record(schedule_ids=ids, now=timezone.now())
        super().delete_queryset(request, queryset)

    def _sentences_without(self, rows: Collection[Any]) -> list[str]:
        """Say when nobody would be on call if rows were gone; nothing is changed."""
        now = timezone.now()
        ids = {pk for row in rows for pk in self.part.schedules(row)}
        before = who.plan_of(ids, since=now)
        after = dict(before)
        for row in rows:
            for pk in after.keys() & set(self.part.schedules(row)):
                after[pk] = self.part.without(after[pk], row)
        return gap_sentences(before, after, now)
