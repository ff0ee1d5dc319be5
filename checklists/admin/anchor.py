"""Who is mailed the head of the chain, which people edit, and what came of it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from checklists.models import AnchoredHead, AuditAnchor, AuditCheck
from checklists.validation import anchor_faults
from t4g_portal.lib.admin import LookOnlyAdmin, ManyAdmin
from t4g_portal.lib.templatetags.portal import ago

# What a row of a list shows of a hash; its own page shows all of it.
_HASH_SHOWN = 12


class AnchorForm(forms.ModelForm):  # type: ignore[type-arg]
    """An anchor that is mailed at a time that exists."""

    class Meta:
        model = AuditAnchor
        fields = ["name", "is_enabled", "at", "time_zone", "channels", "contacts"]

    def clean(self) -> dict[str, Any]:
        """Check when it is mailed."""
        cleaned = super().clean() or self.cleaned_data
        for fault in anchor_faults(cleaned):
            if fault.field not in self.errors:
                self.add_error(fault.field, fault.message)
        return cleaned


@admin.register(AuditAnchor)
class AuditAnchorAdmin(ManyAdmin):
    form = AnchorForm
    list_display = ["name", "at", "time_zone", "last_mailed", "is_enabled"]
    list_filter = ["is_enabled"]
    search_fields = ["name"]
    ordering = ["name"]
    actions = ["enable", "disable"]
    autocomplete_fields = ["channels", "contacts"]
    fieldsets = [
        (None, {"fields": ["name", "is_enabled"]}),
        (
            _("When"),
            {
                "fields": ["at", "time_zone"],
                "description": _("Once a day, as soon as the chain has an entry."),
            },
        ),
        (
            _("To whom"),
            {
                "fields": ["channels", "contacts"],
                "description": _(
                    "Best to somebody who can't write to the portal's database, into a "
                    "mailbox that keeps its mail. A person gets it by the way that "
                    "disturbs least."
                ),
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditAnchor]:
        queryset: QuerySet[AuditAnchor] = super().get_queryset(request)
        return queryset.annotate(last_mailed_at=Max("heads__composed_at"))

    @admin.display(description=_("last mailed"), ordering="last_mailed_at")
    def last_mailed(self, anchor: Any) -> str:
        return ago(anchor.last_mailed_at)


@admin.register(AnchoredHead)
class AnchoredHeadAdmin(LookOnlyAdmin):
    list_display = ["local_date", "anchor_name", "seq", "short_hash", "message_count"]
    list_filter = ["anchor_name", "local_date"]
    list_select_related = ["anchor"]
    search_fields = ["=seq", "hash"]
    ordering = ["-local_date", "-pk"]

    @admin.display(description=_("hash"))
    def short_hash(self, head: AnchoredHead) -> SafeString:
        return _short(head.hash)


@admin.register(AuditCheck)
class AuditCheckAdmin(LookOnlyAdmin):
    list_display = ["at", "outcome", "seq", "short_hash", "count", "compared_count"]
    list_filter = ["wrong", "at"]
    search_fields = ["=wrong_seq", "hash"]
    ordering = ["-at"]

    @display(  # type: ignore[untyped-decorator]
        description=_("outcome"), label={"intact": "success", "wrong": "danger"}
    )
    def outcome(self, check: AuditCheck) -> tuple[str, str]:
        if check.is_intact:
            return "intact", str(_("✓ Intact"))
        found = _("✕ Entry %(seq)d is wrong") % {"seq": check.wrong_seq}
        return "wrong", str(found)

    @admin.display(description=_("its hash"))
    def short_hash(self, check: AuditCheck) -> SafeString:
        return _short(check.hash)


def _short(text: str) -> SafeString:
    return format_html('<code title="{}">{}…</code>', text, text[:_HASH_SHOWN])
