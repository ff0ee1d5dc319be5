"""Templates with their sections and items, and how a version of them is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import Group, User
from django.db import models
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget

from checklists import differences, services
from checklists.actors import person
from checklists.content import ASKED, content_of, fingerprint
from checklists.models import (
    ChecklistTemplate,
    TemplateItem,
    TemplateSection,
    TemplateVersion,
)
from checklists.services import Refused
from checklists.validation import item_faults
from checklists.verifiers import registry
from notifications.admin.parts import label
from t4g_portal.lib.access import check
from t4g_portal.lib.admin import ManyAdmin, PortalAdmin
from t4g_portal.lib.pages import render_page

Status = TemplateVersion.Status
_ROWS = {
    "description": 2,
    "description_fr": 2,
    "help": 4,
    "help_fr": 4,
    "parameters": 4,
}
_SHOWN = 20


class SectionInline(TabularInline):  # type: ignore[misc]
    model = TemplateSection
    extra = 0
    fields = ["position", "key", "title", "title_fr", "more"]
    ordering = ["position", "pk"]
    hide_title = True
    readonly_fields = ["more"]

    @admin.display(description=_("more"))
    def more(self, row: models.Model) -> str:
        return _opening(row)


class ItemInline(TabularInline):  # type: ignore[misc]
    """What is set most often; the rest is on the item's own page."""

    model = TemplateItem
    extra = 0
    fields = [
        "position",
        "key",
        "title",
        "title_fr",
        "signatures_required",
        "is_blocking",
        "more",
    ]
    ordering = ["position", "pk"]
    hide_title = True
    readonly_fields = ["more"]

    @admin.display(description=_("more"))
    def more(self, row: models.Model) -> str:
        return _opening(row)


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version for the page, with what it says differently from the one before."""

    version: TemplateVersion
    differences: list[differences.Difference]


@admin.register(ChecklistTemplate)
class ChecklistTemplateAdmin(ManyAdmin):
    list_display = ["name", "items", "published", "is_enabled"]
    list_filter = ["is_enabled"]
    search_fields = ["name", "name_fr", "slug"]
    ordering = ["name"]
    actions = ["enable", "disable"]
    actions_detail = ["versions"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [SectionInline]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("name", "name_fr"),
                    "slug",
                    ("description", "description_fr"),
                    ("is_enabled", "needs_two_to_publish"),
                ]
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ChecklistTemplate]:
        queryset: QuerySet[ChecklistTemplate] = super().get_queryset(request)
        newest = TemplateVersion.objects.filter(
            template=OuterRef("pk"), status=Status.PUBLISHED
        ).order_by("-number")
        proposed = TemplateVersion.objects.filter(
            template=OuterRef("pk"), status=Status.PROPOSED
        )
        return queryset.annotate(
            item_count=Count("sections__items"),
            published_number=Subquery(newest.values("number")[:1]),
            proposed_number=Subquery(proposed.values("number")[:1]),
        )

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        return _with_rows(
            super().formfield_for_dbfield(db_field, request, **kwargs), db_field.name
        )

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # The slug of a stored one stands in addresses and runs.
        return super().get_prepopulated_fields(request, obj) if obj is None else {}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "slug"] if obj is not None else fields

    @admin.display(description=_("items"), ordering="item_count")
    def items(self, template: Any) -> int:
        return int(template.item_count)

    @admin.display(description=_("version"))
    def published(self, template: Any) -> SafeString:
        if template.proposed_number is not None:
            text = _("Version %(number)s is proposed") % {
                "number": template.proposed_number
            }
            return label(text=text, variant="warning", icon="pending")
        if template.published_number is None:
            return label(text=_("Not published"), variant="default", icon="draft")
        text = _("Version %(number)s") % {"number": template.published_number}
        return label(text=text, variant="success", icon="check")

    # --- Versions -----------------------------------------------------------------------

    def has_look_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.has_view_permission(request, obj))

    @action(  # type: ignore[untyped-decorator]
        description=_("Versions"),
        url_path="versions",
        permissions=["look"],
        icon="difference",
    )
    def versions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what was published and what the draft says differently; publish it."""
        template = cast(
            "ChecklistTemplate", self.get_object(request, unquote(object_id))
        )
        if request.method == "POST":
            check(request, "checklists.publish_template")
            try:
                _act(request, template)
            except Refused as refused:
                messages.error(request, refused.message)
            return redirect("admin:checklists_checklisttemplate_versions", template.pk)
        context = _versions_context(template) | {
            "may_publish": request.user.has_perm("checklists.publish_template"),
            "back_url": reverse(
                "admin:checklists_checklisttemplate_change", args=[template.pk]
            ),
        }
        return render_page(
            request,
            "admin/checklists/checklisttemplate/versions.html",
            context,
            title=str(_("Versions")),
        )


@admin.register(TemplateSection)
class TemplateSectionAdmin(PortalAdmin):
    list_display = ["title", "template", "position"]
    list_filter = ["template"]
    list_select_related = ["template"]
    search_fields = ["title", "title_fr", "template__name"]
    ordering = ["template__name", "position", "pk"]
    autocomplete_fields = ["template"]
    inlines = [ItemInline]


class ItemForm(forms.ModelForm):  # type: ignore[type-arg]
    """An item that makes sense."""

    class Meta:
        model = TemplateItem
        fields = ["section", "position", *ASKED, "owner"]

    def clean(self) -> dict[str, Any]:
        """Check what it asks for, and that its key is the template's only one."""
        cleaned = super().clean() or self.cleaned_data
        for fault in item_faults(cleaned):
            # A parameter is a part of one field, so its name stands in the message.
            if fault.inside:
                self.add_error(fault.field, f"{fault.inside}: {fault.message}")
            elif fault.field not in self.errors:
                self.add_error(fault.field, fault.message)
        section, key = cleaned.get("section"), cleaned.get("key")
        if section is None or key is None:
            return cleaned
        others = TemplateItem.objects.filter(
            section__template=section.template_id, key=key
        )
        if others.exclude(pk=self.instance.pk).exists():
            self.add_error("key", _("Another item of the template has this key."))
        return cleaned


@admin.register(TemplateItem)
class TemplateItemAdmin(ManyAdmin):
    form = ItemForm
    list_display = [
        "title",
        "section",
        "kind",
        "required_role",
        "signatures_required",
        "is_blocking",
    ]
    list_filter = ["section__template", "kind", "required_role", "is_blocking"]
    list_select_related = ["section__template"]
    search_fields = ["title", "title_fr", "key"]
    ordering = ["section__template__name", "section__position", "position", "pk"]
    autocomplete_fields = ["section", "owner"]
    actions = ["edit_several"]
    bulk_fields = [
        "required_role",
        "signatures_required",
        "forbid_self",
        "evidence_required",
        "valid_for_s",
        "is_blocking",
    ]
    change_form_after_template = "admin/checklists/templateitem/_verifiers.html"
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("section", "position"),
                    "key",
                    ("title", "title_fr"),
                    ("help", "help_fr"),
                    ("owner", "runbook_url"),
                ]
            },
        ),
        (
            _("Evidence"),
            {
                "fields": [
                    "kind",
                    "verifier",
                    "parameters",
                    ("evidence_required", "valid_for_s"),
                ]
            },
        ),
        (
            _("Signatures"),
            {
                "fields": [
                    ("required_role", "signatures_required"),
                    ("forbid_self", "is_blocking"),
                ]
            },
        ),
    ]

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "verifier":
            return _chosen(db_field, registry.choices())
        if db_field.name == "required_role":
            names = Group.objects.order_by("name").values_list("name", flat=True)
            return _chosen(db_field, [(name, name) for name in names])
        return _with_rows(
            super().formfield_for_dbfield(db_field, request, **kwargs), db_field.name
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = dict(extra_context or {})
        context["verifiers"] = [
            registry.get(name) for name, _label in registry.choices()
        ]
        return super().changeform_view(request, object_id, form_url, context)


def _act(request: HttpRequest, template: ChecklistTemplate) -> None:
    assert isinstance(request.user, User)  # noqa: S101 the admin asks for a login
    actor, now = person(request.user), timezone.now()
    match request.POST.get("act"):
        case "propose":
            check(request, "checklists.change_checklisttemplate")
            services.templates.propose(template_id=template.pk, actor=actor, now=now)
            messages.success(request, _("The version waits to be published."))
        case "publish":
            version = services.templates.publish(
                version_id=_version(request, template).pk, actor=actor, now=now
            )
            said = _("Version %(number)s is published. New runs copy it.")
            messages.success(request, said % {"number": version.number})
        case "withdraw":
            services.templates.withdraw(
                version_id=_version(request, template).pk,
                reason=request.POST.get("reason", ""),
                actor=actor,
                now=now,
            )
            messages.success(request, _("No run is opened of this version any more."))


def _version(request: HttpRequest, template: ChecklistTemplate) -> TemplateVersion:
    number = request.POST.get("number", "")
    found = (
        template.versions.filter(number=int(number)).first()
        if number.isascii() and number.isdecimal() and len(number) < 9
        else None
    )
    if found is None:
        raise Refused(
            "no_version", str(_("There is no such version. Choose one of the list."))
        )
    return found


def _versions_context(template: ChecklistTemplate) -> dict[str, Any]:
    draft = content_of(template)
    versions = list(template.versions.order_by("-number")[: _SHOWN + 1])
    rows = [
        VersionRow(
            version,
            differences.between(older.content, version.content) if older else [],
        )
        for version, older in zip(
            versions[:_SHOWN], [*versions[1:], None][:_SHOWN], strict=False
        )
    ]
    newest = next(
        (one for one in versions if one.status != Status.WITHDRAWN),
        None,
    )
    return {
        "template": template,
        "rows": rows,
        "newest": newest,
        "is_proposed": newest is not None and newest.status == Status.PROPOSED,
        "is_draft_new": newest is None or newest.fingerprint != fingerprint(draft),
        "draft": differences.between(newest.content if newest else None, draft),
    }


def _opening(row: models.Model) -> str:
    """A link to the page of a row that is edited in another's; Unfold's needs a mouse."""
    if row.pk is None:
        return "–"
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return format_html(
        '<a class="ops-link" href="{}">{}</a>', reverse(name, args=[row.pk]), _("Open")
    )


def _chosen(db_field: Any, choices: list[tuple[str, Any]]) -> forms.ChoiceField:
    """A field whose values are known when the form is drawn, not when code is loaded."""
    return forms.ChoiceField(
        label=capfirst(db_field.verbose_name),
        help_text=db_field.help_text,
        choices=[("", "–"), *choices],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )


def _with_rows(field: Any, name: str) -> Any:
    if name in _ROWS and field is not None:
        field.widget.attrs["rows"] = _ROWS[name]
    return field
