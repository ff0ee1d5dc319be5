"""The gate: open for one commit that is wholly signed, closed for everything else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from checklists import gate, services
from checklists.actors import person
from checklists.models import ChecklistRun, GateDecision
from incidents.models import Service
from t4g_portal.lib.audit.models import AuditEntry
from tests.checklists.making import (
    OTHER_SHA,
    SHA,
    Found,
    approve_waiver,
    ask_waiver,
    make_run,
    make_signer,
    only_item,
    sign,
    verified,
)
from tests.factories import make_service, make_user

pytestmark = pytest.mark.django_db


def decide(run: ChecklistRun, *, now: Any, sha: str = SHA, **values: Any) -> Any:
    values.setdefault("environment", run.environment)
    return gate.decide(
        service_slug=run.service.slug,
        sha=sha,
        caller=person(make_user()),
        now=now,
        **values,
    )


def codes(decision: gate.Decision) -> list[str]:
    return [reason["code"] for one in decision.row.reasons for reason in one["reasons"]]


class TestVerdict:
    def test_signed_run_opens_it_for_its_commit_place_and_service_alone(self, now):
        run = make_run(now=now)
        sign(only_item(run), make_signer(), now=now)
        other = make_service()

        assert decide(run, now=now).is_open
        assert not decide(run, now=now, sha=OTHER_SHA).is_open
        assert not decide(run, now=now, environment="staging").is_open
        run.service = other
        assert not decide(run, now=now).is_open

    def test_abbreviated_commit_is_another_commit(self, now):
        run = make_run(now=now)
        sign(only_item(run), make_signer(), now=now)

        decision = decide(run, now=now, sha=SHA[:10])

        assert (decision.is_open, codes(decision)) == (False, ["other_commit"])
        assert SHA in decision.row.reasons[0]["reasons"][0]["detail"]

    def test_no_run_blocks_and_says_to_open_one(self, now):
        service = make_service()

        decision = gate.decide(
            service_slug=service.slug,
            environment="production",
            sha=SHA,
            caller=person(make_user()),
            now=now,
        )

        assert (decision.is_open, codes(decision)) == (False, ["no_run"])
        assert decision.run_ids == ()

    def test_unknown_service_is_no_decision(self, now):
        with pytest.raises(Service.DoesNotExist):
            gate.decide(
                service_slug="nowhere",
                environment="production",
                sha=SHA,
                caller=person(make_user()),
                now=now,
            )

        assert not GateDecision.objects.exists()

    def test_one_of_two_runs_that_waits_keeps_it_closed(self, now):
        service = make_service()
        ready, waiting = (make_run(now=now, service=service) for _ in range(2))
        sign(only_item(ready), make_signer(), now=now)

        decision = decide(ready, now=now)

        assert not decision.is_open
        assert decision.run_ids == (ready.pk, waiting.pk)
        assert [one["run"] for one in decision.row.reasons] == [waiting.pk]

    def test_run_of_the_commit_before_does_not_hold_up_a_ready_one(self, now):
        service = make_service()
        ready = make_run(now=now, service=service)
        make_run(now=now, service=service, git_sha=OTHER_SHA)
        sign(only_item(ready), make_signer(), now=now)

        assert decide(ready, now=now).is_open

    @pytest.mark.parametrize("end", ["close", "cancel"])
    def test_run_that_is_over_opens_nothing(self, now, end):
        run, signer = make_run(now=now), make_signer()
        sign(only_item(run), signer, now=now)
        act = getattr(services.runs, end)
        act(run_id=run.pk, reason="Done", actor=person(signer), now=now)

        assert codes(decide(run, now=now)) == ["no_run"]

    def test_deadline_closes_it_before_anybody_notices(self, now):
        run = make_run(now=now, deadline=now + timedelta(hours=1))
        sign(only_item(run), make_signer(), now=now)

        assert decide(run, now=now).expires_at == now + timedelta(hours=1)
        later = decide(run, now=now + timedelta(hours=1))
        assert codes(later) == ["deadline_passed"]


class TestWhatClosesItAgain:
    @pytest.fixture
    def signed(self, now):
        run = make_run({"valid_for_s": 3600}, now=now)
        sign(only_item(run), make_signer(username="ana"), now=now)
        assert decide(run, now=now).is_open
        return run

    def test_next_commit(self, signed, now):
        services.runs.move_to_commit(
            run_id=signed.pk, git_sha=OTHER_SHA, actor=person(make_user()), now=now
        )

        assert codes(decide(signed, now=now)) == ["other_commit"]
        decision = decide(signed, now=now, sha=OTHER_SHA)
        assert codes(decision) == ["signed_other", "signatures_missing"]
        assert decision.row.reasons[0]["state"] == "stale"

    def test_time(self, signed, now):
        assert decide(signed, now=now).expires_at == now + timedelta(hours=1)
        assert not decide(signed, now=now + timedelta(hours=1)).is_open

    def test_evidence_that_comes_after(self, signed, now):
        services.evidence.attach_payload(
            run_id=signed.pk,
            item_id=only_item(signed).pk,
            title="Tests",
            payload={"failed": 0},
            actor=person(make_user()),
            now=now,
        )

        assert not decide(signed, now=now).is_open

    def test_reopening(self, signed, now):
        services.items.reopen(
            run_id=signed.pk,
            item_id=only_item(signed).pk,
            reason="Look again",
            actor=person(make_user()),
            now=now,
        )

        assert not decide(signed, now=now).is_open

    def test_signer_who_left(self, signed, now):
        signer = only_item(signed).sign_offs.get().user
        signer.is_active = False
        signer.save()

        assert codes(decide(signed, now=now))[0] == "signer_inactive"


class TestWords:
    def test_what_a_verifier_found_is_said_in_its_own_words(self, now):
        run = make_run(
            {
                "kind": "rule",
                "verifier": "drill_passed",
                "parameters": {"priority": "p0"},
            },
            now=now,
        )
        found = Found(verdict="failed", code="none", values={"days": 30})
        verified(only_item(run), found, now=now)

        (blocker,) = decide(run, now=now).row.reasons

        (reason,) = blocker["reasons"]
        assert reason["code"] == "evidence_failed"
        assert "drill" in reason["detail"].lower()

    def test_what_a_program_sent_is_nobodys_words(self, now):
        run = make_run(now=now)
        services.evidence.attach_payload(
            run_id=run.pk,
            item_id=only_item(run).pk,
            title="Tests",
            payload={"verifier": "drill_passed", "code": "none", "values": 7},
            verdict="failed",
            actor=person(make_user()),
            now=now,
        )

        (blocker,) = decide(run, now=now).row.reasons

        said = blocker["reasons"][0]["detail"]
        assert said == "Tests did not pass. Send it again, or withdraw it."


class TestWaiver:
    def test_it_opens_the_gate_until_it_ends(self, now):
        run = make_run(now=now)
        waiver = ask_waiver(only_item(run), make_signer(), now=now, days=1)
        assert not decide(run, now=now).is_open
        approve_waiver(waiver, make_signer(), now=now)

        decision = decide(run, now=now)

        assert decision.is_open
        assert [one.key for one in decision.waivers] == ["item-0"]
        assert decision.expires_at == waiver.expires_at
        assert not decide(run, now=waiver.expires_at).is_open


class TestFaults:
    def test_fault_of_the_judge_blocks_and_is_kept(self, now, monkeypatch):
        run = make_run(now=now)
        sign(only_item(run), make_signer(), now=now)
        monkeypatch.setattr(gate, "load_runs", _fail)

        decision = decide(run, now=now)

        assert (decision.is_open, codes(decision)) == (False, ["fault"])
        assert GateDecision.objects.get().verdict == "block"

    def test_pass_that_cannot_be_kept_is_none(self, now, monkeypatch):
        run = make_run(now=now)
        sign(only_item(run), make_signer(), now=now)
        monkeypatch.setattr("checklists.gate.audit.append", _fail)

        with pytest.raises(RuntimeError):
            decide(run, now=now)

        assert not GateDecision.objects.exists()


class TestRecord:
    def test_each_decision_is_kept_with_who_asked_and_why(self, now):
        run = make_run(now=now)
        for _ in range(2):
            decide(run, now=now)

        first, second = GateDecision.objects.order_by("pk")
        assert first.reasons == second.reasons
        (blocker,) = first.reasons
        assert (blocker["item"], blocker["state"]) == ("item-0", "waiting")
        assert first.run == run
        assert first.caller

    def test_the_chain_gets_each_pass_and_what_is_news(self, now):
        run = make_run(now=now)
        decide(run, now=now)
        decide(run, now=now)
        sign(only_item(run), make_signer(), now=now)
        decide(run, now=now)
        decide(run, now=now)

        said = AuditEntry.objects.filter(action__startswith="gate.")
        assert list(said.order_by("seq").values_list("action", flat=True)) == [
            "gate.blocked",
            "gate.passed",
            "gate.passed",
        ]

    def test_no_decision_is_changed_or_deleted(self, now):
        decision = decide(make_run(now=now), now=now).row

        for act in (
            lambda: GateDecision.objects.update(verdict="pass"),
            decision.delete,
        ):
            with pytest.raises(DatabaseError), transaction.atomic():
                act()


def _fail(*_args: Any, **_values: Any) -> Any:
    raise RuntimeError("broken on purpose")
