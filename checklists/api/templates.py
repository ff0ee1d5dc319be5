"""Templates as people edit them, and the versions that runs are made of."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import Max, Prefetch, Q, QuerySet
from django.http import HttpResponse
from rest_framework.request import Request

from checklists.api.base import AnyObject
from checklists.content import ASKED
from checklists.models import (
    ChecklistTemplate,
    TemplateItem,
    TemplateSection,
    TemplateVersion,
)
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, FlagFilter, TextFilter, WordFilter
from t4g_portal.lib.api.serializers import StrictModelSerializer
from t4g_portal.lib.api.views import Resource

_READ = Access("checklists:read", "checklists.view_checklisttemplate")


class TemplateItemSerializer(StrictModelSerializer):
    """One line of the draft."""

    parameters = AnyObject(read_only=True)
    runbook_url = fields.Text(read_only=True)

    class Meta:
        model = TemplateItem
        fields = [*ASKED, "owner"]
        read_only_fields = fields


class TemplateSectionSerializer(StrictModelSerializer):
    """A heading of the draft with its lines, in their order."""

    items = TemplateItemSerializer(many=True, read_only=True)

    class Meta:
        model = TemplateSection
        fields = ["key", "title", "title_fr", "items"]
        read_only_fields = fields


class ChecklistTemplateSerializer(StrictModelSerializer):
    """A checklist as it is edited now; runs copy the version published last."""

    published_version = fields.Integer(
        read_only=True,
        allow_null=True,
        help_text="What the next run copies. Null: nothing is published yet.",
    )
    sections = TemplateSectionSerializer(many=True, read_only=True)

    class Meta:
        model = ChecklistTemplate
        fields = [
            "id",
            "slug",
            "name",
            "name_fr",
            "description",
            "description_fr",
            "is_enabled",
            "needs_two_to_publish",
            "published_version",
            "sections",
        ]
        read_only_fields = fields


class TemplateFilters(Filters):
    """Which templates."""

    slug = TextFilter()
    is_enabled = FlagFilter()


class TemplateResource(Resource):
    """Checklists. They are edited in the admin or with `config import`."""

    resource = "checklist_templates"
    serializer_class = ChecklistTemplateSerializer
    filterset_class = TemplateFilters
    orderings: ClassVar = {"name": "name", "id": "pk"}
    access: ClassVar = {"list": _READ, "retrieve": _READ}

    def get_queryset(self) -> QuerySet[ChecklistTemplate]:
        items = TemplateItem.objects.order_by("position", "pk")
        sections = TemplateSection.objects.order_by("position", "pk")
        return ChecklistTemplate.objects.annotate(
            published_version=Max(
                "versions__number",
                filter=Q(versions__status=TemplateVersion.Status.PUBLISHED),
            )
        ).prefetch_related(
            Prefetch(
                "sections",
                queryset=sections.prefetch_related(Prefetch("items", queryset=items)),
            )
        )

    def list(self, request: Request) -> HttpResponse:
        """List checklist templates."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a template: its sections and items as they are edited now."""
        return super().retrieve(request, id)


class TemplateVersionSerializer(StrictModelSerializer):
    """What was proposed and published, word for word; it never changes."""

    content = AnyObject(read_only=True)

    class Meta:
        model = TemplateVersion
        fields = [
            "id",
            "number",
            "status",
            "fingerprint",
            "content",
            "proposed_by_name",
            "proposed_at",
            "published_by_name",
            "published_at",
            "withdrawn_by_name",
            "withdrawn_at",
            "withdrawn_reason",
        ]
        read_only_fields = fields


class VersionFilters(Filters):
    """Which versions."""

    status = WordFilter(choices=TemplateVersion.Status.choices)


class TemplateVersionResource(Resource):
    """The versions of one template."""

    resource = "checklist_template_versions"
    serializer_class = TemplateVersionSerializer
    filterset_class = VersionFilters
    orderings: ClassVar = {"number": "number"}
    default_ordering = "-number"
    access: ClassVar = {
        "list": Access("checklists:read", "checklists.view_templateversion")
    }

    def get_queryset(self) -> QuerySet[TemplateVersion]:
        return TemplateVersion.objects.filter(template_id=self.kwargs.get("id", 0))

    def list(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """List the versions of a template, the newest first."""
        ChecklistTemplate.objects.only("pk").get(pk=id)
        return super().list(request)
