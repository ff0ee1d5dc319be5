"""The evidence of open runs is kept live, by any number of engines, once each."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections

from checklists import verifying
from checklists.actors import person
from checklists.models import ChecklistRun, Evidence, RunItem
from checklists.services import Refused, items, runs, templates
from checklists.services import evidence as evidence_services
from checklists.verifiers import registry
from checklists.verifiers.base import Finding, Verdict
from checklists.verifying import EVERY, KEPT_AGAIN_AFTER, LEASE, verify, verify_due
from t4g_portal.lib.models import AuditEntry
from tests.checklists.asking import SHA
from tests.checklists.making import make_template, publish
from tests.factories import make_service, make_user

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Oracle:
    """A verifier that says what a test wants, and counts."""

    def __init__(self) -> None:
        self.verdict = Verdict.PASSED
        self.target = "http://api"
        self.latency_ms = 100
        self.looks: list[str] = []
        self.in_transaction = False
        self.at_look = lambda: None

    def look(self, subject, parameters, now):
        self.looks.append(subject.git_sha)
        self.in_transaction |= connection.in_atomic_block
        self.at_look()
        return Finding(
            self.verdict,
            "up",
            {"target": self.target},
            {"name": "API"},
            {"latency_ms": self.latency_ms},
        )


@pytest.fixture
def oracle(monkeypatch) -> Oracle:
    found = Oracle()
    real = registry.get("monitor_up")
    assert real is not None
    changed = replace(real, look=found.look)
    monkeypatch.setitem(registry._VERIFIERS, "monitor_up", changed)
    return found


def make_run(*, rule_count=1, now=NOW, **item) -> ChecklistRun:
    """A run of items that the portal verifies, and one that somebody looks at."""
    rules = [
        {"key": f"rule-{number}", "kind": "rule", "verifier": "monitor_up", **item}
        for number in range(rule_count)
    ]
    user = make_user(is_superuser=True)
    version = publish(make_template(*rules, {"key": "looked-at"}), now=now)
    return runs.open_run(
        version=version,
        service=make_service(),
        environment="production",
        git_sha=SHA,
        actor=person(user),
        now=now,
    )


def rule(run) -> RunItem:
    return RunItem.objects.get(run=run, key="rule-0")


def kept(run) -> list[Evidence]:
    return list(Evidence.objects.filter(item__run=run).order_by("pk"))


@pytest.mark.django_db
def test_open_run_is_looked_at_at_once_and_then_every_five_minutes(oracle):
    run = make_run()

    assert verify_due(now=NOW) == 1
    assert verify_due(now=NOW + EVERY - SECOND) == 0
    assert verify_due(now=NOW + EVERY) == 1

    item = rule(run)
    assert item.next_verify_at == NOW + 2 * EVERY
    assert item.lease_until is None


@pytest.mark.django_db
def test_finding_is_kept_with_what_was_looked_at_and_seen(oracle):
    run = make_run()
    verify_due(now=NOW)

    (evidence,) = kept(run)
    assert (evidence.verdict, evidence.captured_by_id) == ("passed", None)
    assert evidence.captured_at == NOW
    assert evidence.payload == {
        "verifier": "monitor_up",
        "looked_at": {"target": "http://api"},
        "observed": {"latency_ms": 100},
        "code": "up",
        "values": {"name": "API"},
    }


@pytest.mark.django_db
def test_same_finding_is_kept_again_only_now_and_then(oracle):
    run = make_run()
    for minute in range(0, 61, 5):
        oracle.latency_ms += 1
        verify_due(now=NOW + minute * MINUTE)

    assert len(oracle.looks) == 13
    moments = [one.captured_at for one in kept(run)]
    assert moments == [NOW + n * KEPT_AGAIN_AFTER for n in range(5)]
    assert len({one.basis_sha256 for one in kept(run)}) == 1
    assert AuditEntry.objects.filter(action="checklist.item_verified").count() == 1


@pytest.mark.django_db
def test_short_validity_is_kept_up_with(oracle):
    run = make_run(valid_for_s=20 * 60)
    for minute in range(0, 16, 5):
        verify_due(now=NOW + minute * MINUTE)

    assert len(kept(run)) == 4


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change", [{"verdict": Verdict.FAILED}, {"target": "http://other"}]
)
def test_another_outcome_or_another_thing_is_kept_at_once(oracle, change):
    run = make_run()
    verify_due(now=NOW)
    for name, value in change.items():
        setattr(oracle, name, value)
    verify_due(now=NOW + EVERY)

    first, second = kept(run)
    assert first.basis_sha256 != second.basis_sha256


@pytest.mark.django_db
def test_person_may_look_at_once_and_is_no_party_to_the_proof(oracle):
    run = make_run()
    verify_due(now=NOW)

    evidence = verify(run_id=run.pk, item_id=rule(run).pk, now=NOW + MINUTE)

    assert evidence.captured_by_id is None
    assert len(kept(run)) == 2
    # Nothing is due before its time because of it.
    assert rule(run).next_verify_at == NOW + EVERY


@pytest.mark.django_db
def test_what_can_not_be_looked_at_is_refused_with_the_reason(oracle):
    run, other = make_run(), make_run()
    manual = RunItem.objects.get(run=run, key="looked-at")

    def refusal(run_id, item_id):
        with pytest.raises(Refused) as caught:
            verify(run_id=run_id, item_id=item_id, now=NOW)
        return caught.value.code

    assert refusal(run.pk, manual.pk) == "not_verifiable"
    assert refusal(other.pk, rule(run).pk) == "foreign_item"
    cancel(run)
    assert refusal(run.pk, rule(run).pk) == "run_over"
    assert not kept(run)


def cancel(run, now=NOW):
    admin = User.objects.filter(is_superuser=True).first()
    assert admin is not None
    runs.cancel(run_id=run.pk, reason="Not today", actor=person(admin), now=now)


@pytest.mark.django_db
def test_run_that_is_over_is_left_alone(oracle):
    run = make_run()
    cancel(run)

    assert verify_due(now=NOW) == 0
    assert verify_due(now=NOW + EVERY) == 0


@pytest.mark.django_db
def test_run_that_ends_during_a_look_keeps_nothing(oracle):
    run = make_run()
    oracle.at_look = lambda: cancel(run)

    assert verify_due(now=NOW) == 1

    assert not kept(run)


@pytest.mark.django_db
def test_commit_that_comes_during_a_look_is_looked_at_itself(oracle):
    run = make_run()
    admin = User.objects.get()

    def move():
        oracle.at_look = lambda: None
        runs.move_to_commit(
            run_id=run.pk,
            git_sha="fedcba9",
            actor=person(admin),
            now=NOW + SECOND,
        )

    oracle.at_look = move
    verify_due(now=NOW)
    assert not kept(run)

    assert verify_due(now=NOW + SECOND) == 1
    (evidence,) = kept(run)
    assert (oracle.looks, evidence.git_sha) == ([SHA, "fedcba9"], "fedcba9")


@pytest.mark.django_db
def test_look_that_was_overtaken_by_another_is_not_kept(oracle):
    run = make_run()
    item = rule(run)

    def fail_meanwhile():
        oracle.at_look = lambda: None
        oracle.verdict = Verdict.FAILED
        verify(run_id=run.pk, item_id=item.pk, now=NOW + SECOND)
        oracle.verdict = Verdict.PASSED

    oracle.at_look = fail_meanwhile
    verify_due(now=NOW)

    (evidence,) = kept(run)
    assert evidence.verdict == Verdict.FAILED


@pytest.mark.django_db
def test_clock_that_was_ahead_keeps_nothing_from_being_looked_at(oracle):
    run = make_run()
    ahead = NOW + timedelta(days=1)
    verify_due(now=ahead)
    RunItem.objects.filter(run=run).update(lease_until=ahead + LEASE)

    assert verify_due(now=NOW) == 1


@pytest.mark.django_db
def test_new_commit_and_reopening_ask_for_a_new_look(oracle):
    run = make_run()
    admin = person(User.objects.get())
    verify_due(now=NOW)
    items.reopen(
        run_id=run.pk,
        item_id=rule(run).pk,
        reason="Again",
        actor=admin,
        now=NOW + MINUTE,
    )

    assert verify_due(now=NOW + MINUTE) == 1
    assert [one.item_revision for one in kept(run)] == [1, 2]


@pytest.mark.django_db
def test_look_that_died_is_made_again_when_its_lease_ends(oracle):
    run = make_run()
    RunItem.objects.filter(pk=rule(run).pk).update(lease_until=NOW + LEASE)

    assert verify_due(now=NOW + LEASE - SECOND) == 0
    assert verify_due(now=NOW + LEASE) == 1


@pytest.mark.django_db
def test_item_that_fails_in_our_code_stops_no_other(oracle, monkeypatch, caplog):
    run = make_run(rule_count=3)
    broken = rule(run).pk
    real = evidence_services.record_finding

    def record(**values):
        if values["item_id"] == broken:
            raise RuntimeError("a bug")
        return real(**values)

    monkeypatch.setattr(verifying, "record_finding", record)

    assert verify_due(now=NOW) == 3
    assert len(kept(run)) == 2
    assert "a bug" in caplog.text


@pytest.mark.django_db
def test_template_that_is_edited_changes_no_open_run(oracle):
    run = make_run()
    template = run.template_version.template
    template.sections.all().delete()
    verify_due(now=NOW)

    assert len(kept(run)) == 1
    assert templates.published(template_slug=template.slug) is not None


@pytest.mark.django_db(transaction=True)
def test_verifiers_run_outside_any_transaction(oracle):
    run = make_run()
    verify_due(now=NOW)
    verify(run_id=run.pk, item_id=rule(run).pk, now=NOW)

    assert len(oracle.looks) == 2
    assert not oracle.in_transaction


@pytest.mark.django_db(transaction=True)
def test_two_engines_look_at_each_item_once(oracle):
    run = make_run(rule_count=12)
    start = threading.Barrier(3)
    counts: list[int] = []

    def engine():
        start.wait()
        try:
            counts.append(verify_due(now=NOW))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=engine) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sum(counts) == 12
    assert len(oracle.looks) == len(kept(run)) == 12
