"""Evidence: pushed by pipelines, read by whoever checks it later."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from checklists import verifying
from checklists.api.base import AnyObject, ChecklistResource, actor_of
from checklists.models import ChecklistRun, Evidence, RunItem
from checklists.services import evidence
from checklists.services.refusing import MAX_TEXT
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.filters import (
    Filters,
    FlagFilter,
    IdFilter,
    MomentFilter,
    TextFilter,
    WordFilter,
)
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer

_READ = Access("checklists:read", "checklists.view_evidence")
_ADD = Access("checklists:write", "checklists.add_evidence")
PUSHED_KINDS = ["ci_payload", "link", "note"]
PUSHED_VERDICTS = ["passed", "failed", "unknown"]
_NEEDS = {
    Evidence.Kind.CI_PAYLOAD: "payload",
    Evidence.Kind.LINK: "url",
    Evidence.Kind.NOTE: "text",
}


class EvidenceSerializer(StrictModelSerializer):
    """One proof, as it was captured. Files are read on the item's page."""

    run = fields.Integer(read_only=True, source="item.run_id")
    item = fields.Text(read_only=True, source="item.key")
    payload = AnyObject(read_only=True)
    url = fields.Text(read_only=True)
    verdict = fields.Text(
        read_only=True,
        help_text="passed, failed, unknown or not_connected; empty: it says nothing.",
    )

    class Meta:
        model = Evidence
        fields = [
            "id",
            "run",
            "item",
            "item_revision",
            "git_sha",
            "kind",
            "title",
            "payload",
            "url",
            "file_name",
            "sha256",
            "basis_sha256",
            "verdict",
            "captured_at",
            "captured_by_name",
            "withdrawn_at",
            "withdrawn_by_name",
            "withdrawn_reason",
        ]
        read_only_fields = fields


class PushEvidenceSerializer(StrictSerializer):
    """What a pipeline found. `payload`, `url` or `text` is needed, after the kind."""

    git_sha = fields.Sha(
        help_text="The commit it is about; 409 when the run is at another."
    )
    kind = fields.Choice(choices=PUSHED_KINDS, default=Evidence.Kind.CI_PAYLOAD)
    title = fields.Text(
        max_length=evidence.MAX_TITLE,
        required=False,
        allow_blank=True,
        default="",
        help_text="A later payload of the same title stands for the one before.",
    )
    verdict = fields.Choice(
        choices=PUSHED_VERDICTS,
        default=Evidence.Verdict.PASSED,
        help_text="Of a payload.",
    )
    payload = AnyObject(required=False, help_text="Up to 64 kB.")
    url = fields.Url(max_length=evidence.MAX_URL, required=False)
    text = fields.Text(max_length=MAX_TEXT, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a kind without what it is made of, and what belongs to another."""
        wanted = _NEEDS[attrs["kind"]]
        problems: dict[str, Any] = {
            name: [_("Evidence of this kind does not have it.")]
            for name in _NEEDS.values()
            if name in attrs and name != wanted and (name, wanted) != ("url", "payload")
        }
        if wanted not in attrs:
            problems[wanted] = [_("Evidence of this kind needs it.")]
        if problems:
            raise serializers.ValidationError(problems)
        return attrs


class WithdrawEvidenceSerializer(StrictSerializer):
    """Why it counts no more."""

    reason = fields.Text(max_length=MAX_TEXT)


class EvidenceFilters(Filters):
    """Which evidence."""

    run = IdFilter(field_name="item__run_id")
    item = TextFilter(field_name="item__key")
    kind = WordFilter(choices=Evidence.Kind.choices)
    verdict = WordFilter(choices=Evidence.Verdict.choices)
    is_withdrawn = FlagFilter(
        field_name="withdrawn_at", lookup_expr="isnull", exclude=True
    )
    since = MomentFilter(field_name="captured_at", lookup_expr="gte")
    until = MomentFilter(field_name="captured_at", lookup_expr="lt")


class EvidenceResource(ChecklistResource):
    """All evidence of all runs; it is never changed, only withdrawn."""

    resource = "checklist_evidence"
    serializer_class = EvidenceSerializer
    filterset_class = EvidenceFilters
    orderings: ClassVar = {"captured_at": "captured_at", "id": "pk"}
    default_ordering = "-id"
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "withdraw": Access("checklists:write", "checklists.change_evidence"),
    }

    def get_queryset(self) -> QuerySet[Evidence]:
        return Evidence.objects.select_related("item").defer("file")

    def list(self, request: Request) -> HttpResponse:
        """List evidence, the newest first."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read one proof with its payload."""
        return super().retrieve(request, id)

    @extend_schema(request=WithdrawEvidenceSerializer)
    def withdraw(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Let evidence count no more; it stays readable."""
        sent = WithdrawEvidenceSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        evidence.withdraw(
            run_id=self.one(id).item.run_id,
            evidence_id=id,
            **sent.validated_data,
            actor=actor_of(request),
            now=timezone.now(),
        )
        return self.answer(self.one(id))


class ItemEvidenceResource(ChecklistResource):
    """The evidence of one item of a run, of whichever commit and revision."""

    resource = "checklist_item_evidence"
    serializer_class = EvidenceSerializer
    orderings: ClassVar = {"id": "pk"}
    default_ordering = "-id"
    access: ClassVar = {"list": _READ, "create": _ADD, "verify": _ADD}

    def get_queryset(self) -> QuerySet[Evidence]:
        return (
            Evidence.objects.filter(
                item__run_id=self.kwargs.get("id", 0),
                item__key=self.kwargs.get("key", ""),
            )
            .select_related("item")
            .defer("file")
        )

    def list(
        self,
        request: Request,
        id: int,  # noqa: A002
        key: str,
    ) -> HttpResponse:
        """List the evidence of an item, the newest first."""
        _item(id, key)
        return super().list(request)

    @idempotent
    @extend_schema(request=PushEvidenceSerializer)
    def create(
        self,
        request: Request,
        id: int,  # noqa: A002
        key: str,
    ) -> HttpResponse:
        """Add evidence to an item: earlier signatures of the item count no more."""
        sent = PushEvidenceSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        item, values = _item(id, key), dict(sent.validated_data)
        row = _push(
            values.pop("kind"),
            values,
            run_id=id,
            item_id=item.pk,
            actor=actor_of(request),
            now=timezone.now(),
        )
        return self._answer_with(row, status=201)

    @extend_schema(request=None)
    def verify(
        self,
        request: Request,
        id: int,  # noqa: A002
        key: str,
    ) -> HttpResponse:
        """Let the portal look again at what it verifies; the answer is what it found."""
        item = _item(id, key)
        row = verifying.verify(run_id=id, item_id=item.pk, now=timezone.now())
        return self._answer_with(row)

    def _answer_with(self, row: Evidence, *, status: int = 200) -> HttpResponse:
        shown = EvidenceSerializer.represent(self.get_queryset().get(pk=row.pk))
        headers = {"Location": f"/api/v1/checklist-evidence/{row.pk}/"}
        return JsonAnswer(
            shown, status=status, headers=headers if status == 201 else None
        )


def _item(run_id: int, key: str) -> RunItem:
    """Return an item; raises DoesNotExist, which is 404."""
    ChecklistRun.objects.only("pk").get(pk=run_id)
    return RunItem.objects.get(run=run_id, key=key)


def _push(kind: str, values: dict[str, Any], **where: Any) -> Evidence:
    about = {"git_sha": values["git_sha"], "title": values["title"]}
    if kind == Evidence.Kind.LINK:
        return evidence.attach_link(url=values["url"], **about, **where)
    if kind == Evidence.Kind.NOTE:
        return evidence.attach_note(text=values["text"], **about, **where)
    return evidence.attach_payload(
        payload=values["payload"],
        verdict=values["verdict"],
        url=values.get("url", ""),
        **about,
        **where,
    )
