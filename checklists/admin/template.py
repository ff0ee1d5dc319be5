"""Templates with their sections and items, and the versions that were made of them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from unfold.admin import TabularInline

from checklists.models import ChecklistTemplate, TemplateItem, TemplateSection
from checklists.validation import item_faults
from t4g_portal.lib.admin import ManyAdmin, PortalAdmin


class SectionInline(TabularInline):  # type: ignore[misc]
    model = TemplateSection
    extra = 0
    fields = ["position", "key", "title", "title_fr"]
    ordering = ["position", "pk"]
    hide_title = True


@admin.register(ChecklistTemplate)
class ChecklistTemplateAdmin(PortalAdmin):
    list_display = ["name", "slug", "is_enabled"]
    list_filter = ["is_enabled"]
    search_fields = ["name", "name_fr", "slug"]
    ordering = ["name"]
    inlines = [SectionInline]


@admin.register(TemplateSection)
class TemplateSectionAdmin(PortalAdmin):
    list_display = ["title", "template", "position"]
    list_filter = ["template"]
    list_select_related = ["template"]
    search_fields = ["title", "title_fr", "template__name"]
    ordering = ["template__name", "position", "pk"]
    autocomplete_fields = ["template"]


class ItemForm(forms.ModelForm):  # type: ignore[type-arg]
    """An item that makes sense."""

    class Meta:
        model = TemplateItem
        fields = [
            "section",
            "position",
            "key",
            "title",
            "title_fr",
            "help",
            "help_fr",
            "kind",
            "verifier",
            "parameters",
            "required_role",
            "signatures_required",
            "forbid_self",
            "evidence_required",
            "valid_for_s",
            "is_blocking",
            "owner",
            "runbook_url",
        ]

    def clean(self) -> dict[str, Any]:
        """Check what it asks for."""
        cleaned = super().clean() or self.cleaned_data
        for fault in item_faults(cleaned):
            if fault.field not in self.errors:
                self.add_error(fault.field, fault.message)
        return cleaned


@admin.register(TemplateItem)
class TemplateItemAdmin(ManyAdmin):
    form = ItemForm
    list_display = ["title", "section", "kind", "required_role", "is_blocking"]
    list_filter = ["section__template", "kind", "is_blocking"]
    list_select_related = ["section__template"]
    search_fields = ["title", "title_fr", "key"]
    ordering = ["section__template__name", "section__position", "position", "pk"]
    autocomplete_fields = ["section", "owner"]
