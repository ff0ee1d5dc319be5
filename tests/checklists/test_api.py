"""Checklists over the API: what pipelines read, open, move and push, and never sign."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from checklists.models import ChecklistRun, Evidence, GateDecision
from t4g_portal.lib.audit.models import AuditEntry
from t4g_portal.roles import AUDITOR, MANAGER, ON_CALL, OPS
from tests.api.asking import Api
from tests.checklists.making import (
    OTHER_SHA,
    SHA,
    make_run,
    make_signer,
    make_template,
    only_item,
    publish,
    sign,
)
from tests.factories import make_service, make_user

pytestmark = pytest.mark.django_db


def api_of(**who: Any) -> Api:
    who.setdefault("role", OPS)
    return Api(owner=make_user(**who))


def run_of_now(*items: dict[str, Any], **values: Any) -> ChecklistRun:
    return make_run(*items, now=timezone.now(), **values)


def evidence_path(run: ChecklistRun) -> str:
    return f"checklist-runs/{run.pk}/items/{only_item(run).key}/evidence/"


class TestGate:
    def ask(self, run: ChecklistRun, *, sha: str = SHA, slash: str = "/") -> Any:
        path = f"gates/{run.service.slug}/{run.environment}{slash}?sha={sha}"
        return api_of(role=MANAGER).get(path)

    def test_it_blocks_with_who_owns_what_and_where(self):
        run = run_of_now({"title": "Rehearsed", "key": "drill", "required_role": "Ops"})

        answer = self.ask(run)

        assert answer.status_code == 409
        assert answer["Content-Type"] == "application/json"
        assert answer["Cache-Control"] == "no-store"
        body = answer.json()
        assert (body["verdict"], body["runs"]) == ("block", [run.pk])
        (blocker,) = body["blocking"]
        assert (blocker["item"], blocker["title"]) == ("drill", "Rehearsed")
        assert blocker["state"] == "waiting"
        assert blocker["reasons"] == [
            {
                "code": "signatures_missing",
                "detail": "1 signature by Ops is missing.",
            }
        ]
        assert blocker["url"].endswith(f"/checklists/{run.pk}/items/drill/")
        assert blocker["url"].startswith("http")
        assert body["decision"] == GateDecision.objects.get().pk

    @pytest.mark.parametrize("slash", ["", "/"])
    def test_it_passes_what_is_signed(self, slash):
        run = run_of_now({"valid_for_s": 3600})
        sign(only_item(run), make_signer(), now=timezone.now())

        answer = self.ask(run, slash=slash)

        assert answer.status_code == 200, answer.content
        body = answer.json()
        assert (body["verdict"], body["blocking"]) == ("pass", [])
        assert body["expires_at"].endswith("Z")

    def test_it_keeps_the_name_of_the_key(self):
        run = run_of_now()

        Api(owner=make_user(role=OPS), name="pipeline").get(
            f"gates/{run.service.slug}/production/?sha={SHA}"
        )

        kept = GateDecision.objects.get()
        assert kept.caller == "pipeline"
        assert len(kept.key_id) > 3
        assert AuditEntry.objects.latest("seq").actor_kind == "key"

    @pytest.mark.parametrize("sha", ["", "12345", "ABCDEF0", "g" * 10, "a" * 65])
    def test_what_is_no_commit_is_a_bad_request(self, sha):
        answer = self.ask(run_of_now(), sha=sha)

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["parameter"] == "sha"
        assert not GateDecision.objects.exists()

    def test_service_that_is_none_is_not_found(self):
        answer = api_of().get(f"gates/nowhere/production/?sha={SHA}")

        assert answer.status_code == 404

    @pytest.mark.parametrize("scope", ["checklists:read", "checklists:write"])
    def test_it_asks_for_a_scope_of_its_own(self, scope):
        run = run_of_now()
        api = Api(owner=make_user(role=OPS), scopes=[scope])

        answer = api.get(f"gates/{run.service.slug}/production/?sha={SHA}")

        assert answer.status_code == 403
        assert answer.json()["scope"] == "gates:read"

    def test_decisions_are_listed_with_what_blocked(self):
        run = run_of_now()
        self.ask(run)

        body = api_of().get("gate-decisions/?verdict=block").json()

        (kept,) = body["items"]
        assert (kept["sha"], kept["service"]) == (SHA, run.service.slug)
        assert kept["blocking"][0]["url"]
        one = api_of().get(f"gate-decisions/{kept['id']}/")
        assert one.json() == kept


class TestRuns:
    def body(self, **changes: Any) -> dict[str, Any]:
        version = publish(make_template({"key": "one"}), now=timezone.now())
        return {
            "template": version.template.slug,
            "service": make_service().slug,
            "environment": "production",
            "git_sha": SHA,
            **changes,
        }

    def test_pipeline_opens_one_under_the_name_of_its_key(self):
        body = self.body(deployment="build 118", title="Spring")

        answer = Api(owner=make_user(role=ON_CALL), name="ci").post(
            "checklist-runs/", body
        )

        assert answer.status_code == 201, answer.content
        made = answer.json()
        run = ChecklistRun.objects.get()
        assert answer["Location"] == f"/api/v1/checklist-runs/{run.pk}/"
        assert (run.opened_by_name, run.title) == ("ci", "Spring")
        assert made["is_ready"] is False
        assert [item["key"] for item in made["items"]] == ["one"]
        assert made["items"][0]["state"] == "waiting"
        assert AuditEntry.objects.latest("seq").actor_name == "ci"

    def test_second_one_is_refused_with_a_code(self):
        api, body = api_of(), self.body()
        api.post("checklist-runs/", body)

        answer = api.post("checklist-runs/", {**body, "git_sha": OTHER_SHA})

        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:t4g:problem:open-already"

    def test_the_same_request_again_is_one_run(self):
        api, body = api_of(), self.body()

        answers = [
            api.post("checklist-runs/", body, Idempotency_Key="open-1")
            for _ in range(2)
        ]

        assert [one.status_code for one in answers] == [201, 201]
        assert ChecklistRun.objects.count() == 1

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"git_sha": "abc"}, "git_sha"),
            ({"git_sha": SHA.upper()}, "git_sha"),
            ({"git_sha": f"{SHA}\n"}, "git_sha"),
            ({"environment": "the moon"}, "environment"),
            ({"service": "nowhere"}, "service"),
            ({"service": 1}, "service"),
            ({"template": "nothing"}, "template"),
            ({"title": "x" * 201}, "title"),
            ({"signed_by": "me"}, "signed_by"),
        ],
    )
    def test_what_makes_no_sense_is_refused_at_its_field(self, changes, field):
        answer = api_of().post("checklist-runs/", self.body(**changes))

        assert answer.status_code == 400, answer.content
        assert answer.json()["errors"][0]["pointer"] == f"#/{field}"

    def test_template_that_nobody_published_opens_nothing(self):
        template = make_template()

        answer = api_of().post("checklist-runs/", self.body(template=template.slug))

        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:t4g:problem:not-published"

    def test_moving_makes_signatures_stale_and_says_why(self):
        run = run_of_now()
        sign(only_item(run), make_signer(username="ana"), now=timezone.now())
        api = api_of()
        assert api.get(f"checklist-runs/{run.pk}/").json()["is_ready"] is True

        answer = api.post(f"checklist-runs/{run.pk}/move/", {"git_sha": OTHER_SHA})

        assert answer.status_code == 200, answer.content
        body = answer.json()
        assert (body["git_sha"], body["is_ready"]) == (OTHER_SHA, False)
        (item,) = body["items"]
        assert item["state"] == "stale"
        (signed,) = item["sign_offs"]
        assert (signed["name"], signed["counts"]) == ("ana", False)
        assert signed["reasons"][0]["code"] == "signed_other"

    def test_closing_waits_until_it_is_ready_and_cancelling_wants_a_reason(self):
        run, api = run_of_now(), api_of()
        path = f"checklist-runs/{run.pk}/"

        refused = api.post(f"{path}close/", {})
        assert refused.json()["type"] == "urn:t4g:problem:not-ready"
        assert api.post(f"{path}cancel/", {}).status_code == 400
        done = api.post(f"{path}cancel/", {"reason": "Not today"})

        assert done.json()["state"] == "cancelled"
        again = api.post(f"{path}cancel/", {"reason": "Not today"})
        assert again.json()["type"] == "urn:t4g:problem:run-over"

    def test_list_tells_how_each_stands_in_a_fixed_number_of_queries(self):
        service = make_service()
        api = api_of()
        counts = []
        for _ in range(2):
            run_of_now({}, {"key": "two"}, service=service)
            with CaptureQueriesContext(
                connection,
            ) as asked:
                body = api.get(f"checklist-runs/?service={service.slug}").json()
            counts.append(len(asked))

        assert counts[0] >= counts[1]
        assert [one["blocking"] for one in body["items"]] == [["item-0", "two"]] * 2
        assert "items" not in body["items"][0]
        assert api.get("checklist-runs/?state=closed").json()["items"] == []

    def test_bundle_is_one_file(self):
        run = run_of_now()

        answer = api_of(role=AUDITOR).get(f"checklist-runs/{run.pk}/bundle/")

        assert answer["Content-Type"] == "application/json"
        assert answer.json()["run"]["id"] == run.pk
        assert api_of().get("checklist-runs/999/bundle/").status_code == 404

    def test_auditor_looks_and_changes_nothing(self):
        run, api = run_of_now(), api_of(role=AUDITOR)

        assert api.get(f"checklist-runs/{run.pk}/").status_code == 200
        for answer in (
            api.post("checklist-runs/", self.body()),
            api.post(f"checklist-runs/{run.pk}/move/", {"git_sha": OTHER_SHA}),
            api.post(evidence_path(run), {}),
        ):
            assert answer.status_code == 403


class TestEvidence:
    def test_pipeline_pushes_a_payload_once(self):
        run = run_of_now()
        body = {
            "git_sha": SHA,
            "title": "Tests",
            "payload": {"tests": 412, "failed": 0, "seconds": 1.5, "of": [None, {}]},
        }
        api = Api(owner=make_user(role=OPS), name="ci")

        answers = [
            api.post(evidence_path(run), body, Idempotency_Key="tests-1")
            for _ in range(2)
        ]

        assert [one.status_code for one in answers] == [201, 201]
        kept = Evidence.objects.get()
        assert (kept.kind, kept.verdict) == ("ci_payload", "passed")
        assert kept.captured_by_name == "ci"
        shown = answers[0].json()
        assert shown["sha256"] == kept.sha256
        assert shown["payload"]["tests"] == 412
        assert answers[0]["Location"] == f"/api/v1/checklist-evidence/{kept.pk}/"
        assert api.get(f"checklist-evidence/{kept.pk}/").json() == shown
        assert api.get(evidence_path(run)).json()["items"] == [shown]

    @pytest.mark.parametrize(
        "body",
        [
            {"kind": "link", "url": "https://ci.example.org/118", "title": "Build"},
            {"kind": "note", "text": "Looked at by hand"},
        ],
    )
    def test_links_and_notes_are_evidence_too(self, body):
        run = run_of_now()

        answer = api_of().post(evidence_path(run), {"git_sha": SHA, **body})

        assert answer.status_code == 201, answer.content
        assert Evidence.objects.get().kind == body["kind"]

    def test_slow_pipeline_does_not_vouch_for_a_commit_it_never_saw(self):
        run, api = run_of_now(), api_of()
        api.post(f"checklist-runs/{run.pk}/move/", {"git_sha": OTHER_SHA})

        answer = api.post(evidence_path(run), {"git_sha": SHA, "payload": {}})

        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:t4g:problem:other-commit"
        assert OTHER_SHA in answer.json()["detail"]
        assert not Evidence.objects.exists()

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"payload": {}}, "git_sha"),
            ({"git_sha": SHA}, "payload"),
            ({"git_sha": SHA, "payload": []}, "payload"),
            ({"git_sha": SHA, "kind": "link"}, "url"),
            ({"git_sha": SHA, "kind": "link", "url": "javascript:1"}, "url"),
            ({"git_sha": SHA, "kind": "note", "text": "a", "payload": {}}, "payload"),
            ({"git_sha": SHA, "kind": "verification", "payload": {}}, "kind"),
            ({"git_sha": SHA, "payload": {}, "verdict": "not_connected"}, "verdict"),
        ],
    )
    def test_what_makes_no_sense_is_refused_at_its_field(self, body, field):
        answer = api_of().post(evidence_path(run_of_now()), body)

        assert answer.status_code == 400, answer.content
        assert answer.json()["errors"][0]["pointer"] == f"#/{field}"

    def test_payload_that_is_too_big_is_refused(self):
        body = {"git_sha": SHA, "payload": {"log": "x" * 70_000}}

        answer = api_of().post(evidence_path(run_of_now()), body)

        assert answer.status_code == 409
        assert not Evidence.objects.exists()

    def test_run_that_is_over_takes_none(self):
        run, api = run_of_now(), api_of()
        api.post(f"checklist-runs/{run.pk}/cancel/", {"reason": "No"})

        answer = api.post(evidence_path(run), {"git_sha": SHA, "payload": {}})

        assert answer.json()["type"] == "urn:t4g:problem:run-over"

    def test_withdrawing_keeps_it_readable(self):
        run, api = run_of_now(), api_of()
        made = api.post(evidence_path(run), {"git_sha": SHA, "payload": {}}).json()

        answer = api.post(
            f"checklist-evidence/{made['id']}/withdraw/", {"reason": "Wrong build"}
        )

        assert answer.json()["withdrawn_reason"] == "Wrong build"
        path = f"checklist-evidence/?run={run.pk}&is_withdrawn="
        assert len(api.get(f"{path}true").json()["items"]) == 1
        assert api.get(f"{path}false").json()["items"] == []

    def test_portal_looks_again_when_asked(self):
        item = {
            "kind": "rule",
            "verifier": "monitor_up",
            "parameters": {"monitors": ["None of that name"]},
        }
        run, api = run_of_now(item), api_of()
        path = evidence_path(run).replace("evidence", "verify")

        answer = api.post(path)

        assert answer.status_code == 200, answer.content
        assert answer.json()["kind"] == "verification"
        assert answer.json()["verdict"] == "failed"
        by_hand = run_of_now()
        refused = api.post(evidence_path(by_hand).replace("evidence", "verify"))
        assert refused.status_code == 409

    @pytest.mark.parametrize("path", ["checklist-runs/9/", "checklist-runs/9/items/a/"])
    def test_run_that_is_none_is_not_found(self, path):
        assert api_of().get(f"{path}evidence/").status_code == 404


class TestTemplates:
    def test_draft_and_versions_are_read(self):
        template = make_template({"key": "one", "title_fr": "Un"})
        version = publish(template, now=timezone.now())
        api = api_of()

        (shown,) = api.get(f"checklist-templates/?slug={template.slug}").json()["items"]
        (kept,) = api.get(f"checklist-templates/{template.pk}/versions/").json()[
            "items"
        ]

        assert shown["published_version"] == 1
        assert shown["sections"][0]["items"][0]["title_fr"] == "Un"
        assert kept["fingerprint"] == version.fingerprint
        assert kept["content"] == version.content
        assert api.get(f"checklist-templates/{template.pk}/").json() == shown
        assert api.get("checklist-templates/999/versions/").status_code == 404


class TestAuditEntries:
    def test_chain_is_read_entry_by_entry(self):
        run = run_of_now()
        api = api_of(role=AUDITOR)

        found = api.get(f"audit-entries/?subject=run:{run.pk}").json()["items"]

        (opened,) = found
        assert opened["action"] == "checklist.run_opened"
        row = AuditEntry.objects.get(seq=opened["id"])
        assert (opened["hash"], opened["prev_hash"]) == (row.hash, row.prev_hash)
        assert api.get(f"audit-entries/{row.seq}/").json() == opened
        page = api.get("audit-entries/?limit=1").json()
        assert page["next_cursor"]
        assert api_of(role=MANAGER).get("audit-entries/").status_code == 403


def test_no_address_of_the_api_signs_waives_or_publishes():
    found = [
        route
        for route in _routes(get_resolver())
        if route.startswith(("api/v1/checklist", "api/v1/gate", "api/v1/audit"))
        and any(word in route for word in ("sign-off", "signature", "waive", "publish"))
    ]

    assert found == []


def _routes(resolver: Any, before: str = "") -> list[str]:
    found = []
    for one in resolver.url_patterns:
        if isinstance(one, URLPattern):
            found.append(f"{before}{one.pattern}")
        elif isinstance(one, URLResolver):
            found += _routes(one, f"{before}{one.pattern}")
    return found
