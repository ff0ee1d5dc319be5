"""Runs: how each stands, opened and moved by pipelines, ended. Nobody signs from here."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from checklists import addresses
from checklists.api.base import (
    AnyObject,
    ChecklistResource,
    ReasonSerializer,
    actor_of,
)
from checklists.bundle import bundle_of
from checklists.facts import EvidenceFacts, WaiverFacts
from checklists.models import ChecklistRun, ChecklistTemplate, RunItem
from checklists.queries import LoadedRun, load_run, load_runs
from checklists.services import runs, templates
from checklists.services.refusing import MAX_TEXT, Refused
from checklists.standing import ItemStanding, SignatureStanding, State
from checklists.telling import said
from incidents.models import Service
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.filters import Filters, MomentFilter, TextFilter, WordFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer

_READ = Access("checklists:read", "checklists.view_checklistrun")
_CHANGE = Access("checklists:write", "checklists.change_checklistrun")
_COMMIT = "The whole commit, in lowercase hexadecimal."


class SignOffSerializer(StrictSerializer):
    """A signature that is neither revoked nor superseded, and whether it counts."""

    id = fields.Integer(read_only=True)
    name = fields.Text(read_only=True)
    role = fields.Text(read_only=True)
    meaning = fields.Text(read_only=True, help_text="checked, approved or waived")
    comment = fields.Text(read_only=True)
    signed_at = fields.Moment(read_only=True)
    auth_method = fields.Text(read_only=True)
    auth_at = fields.Moment(read_only=True)
    statement_hash = fields.Text(read_only=True)
    counts = fields.Flag(read_only=True)
    reasons = ReasonSerializer(
        many=True, read_only=True, help_text="Why it does not count."
    )


class ProofSerializer(StrictSerializer):
    """Evidence that counts; `checklist-evidence/<id>/` has all of it."""

    id = fields.Integer(read_only=True)
    kind = fields.Text(read_only=True)
    title = fields.Text(read_only=True)
    verdict = fields.Text(read_only=True)
    sha256 = fields.Text(read_only=True)
    captured_at = fields.Moment(read_only=True)
    captured_by = fields.Text(read_only=True)


class WaiverSerializer(StrictSerializer):
    """A waiver that has not ended; it counts once a second person has approved it."""

    id = fields.Integer(read_only=True)
    reason = fields.Text(read_only=True)
    risk = fields.Text(read_only=True)
    compensating_control = fields.Text(read_only=True)
    requested_by = fields.Text(read_only=True)
    requested_at = fields.Moment(read_only=True)
    approved_by = fields.Text(read_only=True)
    approved_at = fields.Moment(read_only=True, allow_null=True)
    expires_at = fields.Moment(read_only=True)


class RunItemSerializer(StrictModelSerializer):
    """What an item asks for, and how it stands."""

    section = fields.Text(read_only=True, source="section_title")
    section_fr = fields.Text(read_only=True, source="section_title_fr")
    parameters = AnyObject(read_only=True)
    runbook_url = fields.Text(read_only=True)
    owner = fields.Text(read_only=True, source="owner_name")
    state = fields.Choice(read_only=True, choices=[*State])
    reasons = ReasonSerializer(many=True, read_only=True)
    evidence = ProofSerializer(many=True, read_only=True)
    sign_offs = SignOffSerializer(many=True, read_only=True)
    waiver = WaiverSerializer(read_only=True, allow_null=True)
    expires_at = fields.Moment(
        read_only=True, allow_null=True, help_text="When time alone would undo it."
    )
    url = fields.Text(read_only=True)

    class Meta:
        model = RunItem
        fields = [
            "key",
            "section",
            "section_fr",
            "title",
            "title_fr",
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
            "revision",
            "content_hash",
            "state",
            "reasons",
            "evidence",
            "sign_offs",
            "waiver",
            "expires_at",
            "url",
        ]
        read_only_fields = fields


class ChecklistRunSerializer(StrictModelSerializer):
    """A checklist of one release, and whether it is ready."""

    template = fields.Text(read_only=True, source="template_slug")
    template_version = fields.Integer(read_only=True, source="template_version.number")
    service = fields.Text(read_only=True, source="service.slug")
    is_ready = fields.Flag(read_only=True)
    reasons = ReasonSerializer(
        many=True, read_only=True, help_text="What closes it, whatever its items say."
    )
    blocking = fields.Texts(
        read_only=True, child=fields.Text(), help_text="Keys of the items that block."
    )
    met_count = fields.Integer(read_only=True)
    total_count = fields.Integer(read_only=True)
    expires_at = fields.Moment(
        read_only=True, allow_null=True, help_text="When time alone would undo it."
    )
    url = fields.Text(read_only=True)

    class Meta:
        model = ChecklistRun
        fields = [
            "id",
            "template",
            "template_name",
            "template_name_fr",
            "template_version",
            "service",
            "environment",
            "git_sha",
            "deployment",
            "title",
            "state",
            "opened_by_name",
            "opened_at",
            "moved_at",
            "deadline",
            "ended_at",
            "ended_by_name",
            "end_reason",
            "is_ready",
            "reasons",
            "blocking",
            "met_count",
            "total_count",
            "expires_at",
            "url",
        ]
        read_only_fields = fields

    @classmethod
    def represent(cls, row: Any) -> dict[str, Any]:
        """Return a run with how it stands; `row` is a LoadedRun."""
        loaded: LoadedRun = row
        run, standing = loaded.run, loaded.standing
        own = {
            "template": run.template_slug,
            "template_version": run.template_version.number,
            "service": run.service.slug,
            "is_ready": standing.is_ready,
            "reasons": said(standing.reasons),
            "blocking": [one.key for one in standing.blocking],
            "met_count": standing.met_count,
            "total_count": standing.total_count,
            "expires_at": _moment(standing.valid_until),
            "url": addresses.run_url(run.pk),
        }
        return {
            name: own[name] if name in own else _plain(run, name)
            for name in ChecklistRunSerializer.Meta.fields
        }


class WholeRunSerializer(ChecklistRunSerializer):
    """A run with all its items."""

    items = RunItemSerializer(many=True, read_only=True)

    class Meta(ChecklistRunSerializer.Meta):
        fields = [*ChecklistRunSerializer.Meta.fields, "items"]
        read_only_fields = fields

    @classmethod
    def represent(cls, row: Any) -> dict[str, Any]:
        """Return a run with its items; `row` is a LoadedRun."""
        loaded: LoadedRun = row
        return {
            **ChecklistRunSerializer.represent(loaded),
            "items": [
                _item(item, standing)
                for item, standing in zip(
                    loaded.items, loaded.standing.items, strict=True
                )
            ],
        }


class OpenRunSerializer(StrictSerializer):
    """What a run is for. `template` and `service` are slugs."""

    template = fields.BySlug(queryset=ChecklistTemplate.objects.all())
    service = fields.BySlug(queryset=Service.objects.all())
    environment = fields.Slug(max_length=runs.MAX_ENVIRONMENT)
    git_sha = fields.Sha(help_text=_COMMIT)
    deployment = fields.Text(
        max_length=runs.MAX_DEPLOYMENT,
        required=False,
        allow_blank=True,
        default="",
        help_text="Its id or address.",
    )
    title = fields.Text(
        max_length=runs.MAX_TITLE, required=False, allow_blank=True, default=""
    )
    deadline = fields.Moment(
        required=False, allow_null=True, default=None, help_text="Over: it expires."
    )


class MoveRunSerializer(StrictSerializer):
    """The next commit."""

    git_sha = fields.Sha(help_text=_COMMIT)
    deployment = fields.Text(
        max_length=runs.MAX_DEPLOYMENT,
        required=False,
        allow_blank=True,
        default=None,
        help_text="Left out: it stays.",
    )


class CloseRunSerializer(StrictSerializer):
    """What is worth saying at the end."""

    reason = fields.Text(
        max_length=MAX_TEXT, required=False, allow_blank=True, default=""
    )


class CancelRunSerializer(StrictSerializer):
    """Why the release does not happen."""

    reason = fields.Text(max_length=MAX_TEXT)


class RunFilters(Filters):
    """Which runs."""

    service = TextFilter(field_name="service__slug")
    template = TextFilter(field_name="template_slug")
    environment = TextFilter()
    git_sha = TextFilter()
    state = WordFilter(choices=ChecklistRun.State.choices)
    since = MomentFilter(field_name="opened_at", lookup_expr="gte")
    until = MomentFilter(field_name="opened_at", lookup_expr="lt")


class RunResource(ChecklistResource):
    """Checklists of releases."""

    resource = "checklist_runs"
    serializer_class = ChecklistRunSerializer
    filterset_class = RunFilters
    orderings: ClassVar = {"opened_at": "opened_at", "id": "pk"}
    default_ordering = "-opened_at"
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "create": Access("checklists:write", "checklists.add_checklistrun"),
        "move": _CHANGE,
        "close": _CHANGE,
        "cancel": _CHANGE,
        "bundle": _READ,
    }

    def get_queryset(self) -> QuerySet[ChecklistRun]:
        return ChecklistRun.objects.only("opened_at")

    def paginate_queryset(self, queryset: Any) -> Any:
        page = super().paginate_queryset(queryset) or []
        loaded = load_runs([row.pk for row in page], now=timezone.now())
        by_number = {one.run.pk: one for one in loaded}
        return [by_number[row.pk] for row in page]

    def list(self, request: Request) -> HttpResponse:
        """List checklist runs and how they stand, the newest first."""
        return super().list(request)

    @extend_schema(responses=WholeRunSerializer)
    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a run: each item with its state, evidence and signatures."""
        return self._whole(id)

    @idempotent
    @extend_schema(request=OpenRunSerializer, responses={201: WholeRunSerializer})
    def create(self, request: Request) -> HttpResponse:
        """Open a run of the published version of a template."""
        sent = OpenRunSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        values = dict(sent.validated_data)
        template = values.pop("template")
        version = templates.published(template_slug=template.slug)
        if version is None:
            raise Refused(
                "not_published",
                _("No version of this template is published. Publish one first."),
            )
        run = runs.open_run(
            version=version, **values, actor=actor_of(request), now=timezone.now()
        )
        return self._whole(run.pk, status=201, location=f"{request.path}{run.pk}/")

    @extend_schema(request=MoveRunSerializer, responses=WholeRunSerializer)
    def move(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Let a run stand for another commit: what was signed before counts no more."""
        sent = MoveRunSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        runs.move_to_commit(
            run_id=id,
            **sent.validated_data,
            actor=actor_of(request),
            now=timezone.now(),
        )
        return self._whole(id)

    @extend_schema(request=CloseRunSerializer, responses=WholeRunSerializer)
    def close(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Close a run whose release is out; refused while anything blocks it."""
        sent = CloseRunSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        runs.close(
            run_id=id,
            **sent.validated_data,
            actor=actor_of(request),
            now=timezone.now(),
        )
        return self._whole(id)

    @extend_schema(request=CancelRunSerializer, responses=WholeRunSerializer)
    def cancel(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """End a run whose release does not happen."""
        sent = CancelRunSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        runs.cancel(
            run_id=id,
            **sent.validated_data,
            actor=actor_of(request),
            now=timezone.now(),
        )
        return self._whole(id)

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def bundle(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a run as one file that anybody can verify without the portal."""
        return HttpResponse(
            bundle_of(run_id=id, now=timezone.now()), content_type="application/json"
        )

    def _whole(
        self, number: int, *, status: int = 200, location: str = ""
    ) -> HttpResponse:
        loaded = load_run(number, now=timezone.now())
        return JsonAnswer(
            WholeRunSerializer.represent(loaded),
            status=status,
            headers={"Location": location} if location else None,
        )


def _item(item: RunItem, standing: ItemStanding) -> dict[str, Any]:
    own = {
        "section": item.section_title,
        "section_fr": item.section_title_fr,
        "owner": item.owner_name,
        "state": str(standing.state),
        "reasons": said(standing.reasons),
        "evidence": [_proof(one) for one in standing.evidence],
        "sign_offs": [_sign_off(one) for one in standing.signatures],
        "waiver": _waiver(standing.waiver) if standing.waiver else None,
        "expires_at": _moment(standing.valid_until),
        "url": addresses.item_url(item.run_id, item.key),
    }
    return {
        name: own[name] if name in own else _plain(item, name)
        for name in RunItemSerializer.Meta.fields
    }


def _proof(one: EvidenceFacts) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "title": one.title,
        "verdict": one.verdict,
        "sha256": one.sha256,
        "captured_at": fields.write_moment(one.captured_at),
        "captured_by": one.captured_by_name,
    }


def _sign_off(one: SignatureStanding) -> dict[str, Any]:
    signed = one.signature
    return {
        "id": signed.id,
        "name": signed.printed_name,
        "role": signed.role,
        "meaning": signed.meaning,
        "comment": signed.comment,
        "signed_at": fields.write_moment(signed.signed_at),
        "auth_method": signed.auth_method,
        "auth_at": fields.write_moment(signed.auth_at),
        "statement_hash": signed.statement_hash,
        "counts": one.is_valid,
        "reasons": said(one.reasons),
    }


def _waiver(one: WaiverFacts) -> dict[str, Any]:
    return {
        "id": one.id,
        "reason": one.reason,
        "risk": one.risk,
        "compensating_control": one.compensating_control,
        "requested_by": one.requested_by_name,
        "requested_at": fields.write_moment(one.requested_at),
        "approved_by": one.approved_by_name,
        "approved_at": _moment(one.approved_at),
        "expires_at": fields.write_moment(one.expires_at),
    }


def _plain(row: Any, name: str) -> Any:
    value = getattr(row, name)
    return fields.write_moment(value) if hasattr(value, "tzinfo") else value


def _moment(moment: Any) -> str | None:
    return None if moment is None else fields.write_moment(moment)
