"""A waiver takes two people, ends by itself, and closes the gate again when it does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from checklists import queries, services
from checklists.actors import person
from checklists.models import SignOff, Waiver
from checklists.services import Refused
from checklists.services.runs import append as append_to_chain
from checklists.showing.paper import paper
from checklists.standing import State
from t4g_portal.lib.audit.models import AuditEntry
from t4g_portal.roles import MANAGER
from tests.checklists.making import (
    OTHER_SHA,
    Found,
    approve_waiver,
    ask_waiver,
    make_run,
    make_signer,
    only_item,
    sign,
    standing,
    verified,
)

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def test_waiver_lets_a_release_pass_once_a_second_person_approves():
    run = make_run({"kind": "rule", "verifier": "monitor_up"}, now=NOW)
    item = only_item(run)
    verified(item, Found(verdict="failed"), now=NOW)

    waiver = ask_waiver(item, make_signer(), now=NOW)
    asked = standing(run, now=NOW)
    approve_waiver(waiver, make_signer(), now=NOW)

    after = standing(run, now=NOW)
    assert not asked.is_ready
    assert after.is_ready
    assert after.items[0].state is State.WAIVED
    assert after.valid_until == NOW + 7 * DAY
    assert SignOff.objects.filter(meaning="waived").count() == 2
    assert list(
        AuditEntry.objects.filter(action__startswith="checklist.waiver")
        .order_by("seq")
        .values_list("action", flat=True)
    ) == ["checklist.waiver_requested", "checklist.waiver_approved"]


@pytest.mark.parametrize("is_superuser", [False, True])
def test_whoever_asks_can_not_approve(is_superuser: bool):
    asker = make_signer(is_superuser=is_superuser)
    waiver = ask_waiver(only_item(make_run(now=NOW)), asker, now=NOW)

    with pytest.raises(Refused) as refused:
        approve_waiver(waiver, asker, now=NOW)

    assert refused.value.code == "requested_it"


def test_database_refuses_a_waiver_of_one_person():
    asker = make_signer()
    waiver = ask_waiver(only_item(make_run(now=NOW)), asker, now=NOW)

    with pytest.raises(IntegrityError), transaction.atomic():
        Waiver.objects.filter(pk=waiver.pk).update(approved_by=asker, approved_at=NOW)


def test_approver_holds_the_role_that_the_item_asks_for():
    run = make_run({"required_role": "Manager"}, now=NOW)
    waiver = ask_waiver(only_item(run), make_signer(), now=NOW)

    with pytest.raises(Refused) as refused:
        approve_waiver(waiver, make_signer(), now=NOW)
    approve_waiver(waiver, make_signer(role=MANAGER), now=NOW)

    assert refused.value.code == "role_missing"
    assert standing(run, now=NOW).is_ready


@pytest.mark.parametrize("days", [90.01, 0, -1])
def test_waiver_lasts_ninety_days_at_most(days: float):
    item = only_item(make_run(now=NOW))

    with pytest.raises(Refused) as refused:
        ask_waiver(item, make_signer(), now=NOW, days=days)

    assert refused.value.code == "bad_expiry"


def test_waiver_that_is_over_closes_the_gate_before_anybody_has_ended_it():
    run = make_run(now=NOW)
    approve_waiver(
        ask_waiver(only_item(run), make_signer(), now=NOW), make_signer(), now=NOW
    )

    last, over = (
        standing(run, now=NOW + 7 * DAY - DAY),
        standing(run, now=NOW + 7 * DAY),
    )

    assert (last.is_ready, over.is_ready) == (True, False)


def test_expired_waiver_stays_so_when_the_clock_is_set_back():
    run = make_run(now=NOW)
    waiver = ask_waiver(only_item(run), make_signer(), now=NOW)
    approve_waiver(waiver, make_signer(), now=NOW)

    ended = services.waivers.expire_due(now=NOW + 7 * DAY)
    again = services.waivers.expire_due(now=NOW + 7 * DAY)

    waiver.refresh_from_db()
    assert (ended, again) == ([waiver.pk], [])
    assert waiver.ended_as == "expired"
    assert not standing(run, now=NOW + DAY).is_ready


def test_waiver_that_cannot_be_ended_keeps_no_other_open(monkeypatch, caplog):
    bad, good = (
        ask_waiver(only_item(make_run(now=NOW)), make_signer(), now=NOW)
        for _ in range(2)
    )
    append = append_to_chain

    def append_good(act, run, *rest):
        if run == bad.item.run:
            raise ValueError("no entry")
        append(act, run, *rest)

    monkeypatch.setattr(services.waivers, "append", append_good)

    assert services.waivers.expire_due(now=NOW + 7 * DAY) == [good.pk]
    bad.refresh_from_db()
    assert bad.ended_at is None
    assert f"waiver {bad.pk} could not be ended" in caplog.text


def test_new_commit_and_reopening_end_a_waiver():
    run = make_run(now=NOW)
    item = only_item(run)
    actor = person(make_signer())
    first = ask_waiver(item, make_signer(), now=NOW)
    approve_waiver(first, make_signer(), now=NOW)

    services.runs.move_to_commit(run_id=run.pk, git_sha=OTHER_SHA, actor=actor, now=NOW)
    moved = standing(run, now=NOW).is_ready
    second = ask_waiver(item, make_signer(), now=NOW)
    approve_waiver(second, make_signer(), now=NOW)
    waived = standing(run, now=NOW).is_ready
    services.items.reopen(
        run_id=run.pk, item_id=item.pk, reason="Anew", actor=actor, now=NOW
    )

    assert (moved, waived, standing(run, now=NOW).is_ready) == (False, True, False)
    first.refresh_from_db()
    second.refresh_from_db()
    assert {first.ended_as, second.ended_as} == {"revoked"}


def test_approver_who_leaves_closes_the_gate():
    run = make_run(now=NOW)
    approver = make_signer()
    approve_waiver(
        ask_waiver(only_item(run), make_signer(), now=NOW), approver, now=NOW
    )

    approver.is_active = False
    approver.save()

    reasons = standing(run, now=NOW).items[0].reasons
    assert "signer_inactive" in {reason.code for reason in reasons}


def test_refused_and_ended_waivers_count_no_more():
    run = make_run({}, {}, now=NOW)
    first, second = run.items.order_by("pk")
    asked = ask_waiver(first, make_signer(), now=NOW)
    given = ask_waiver(second, make_signer(), now=NOW)
    approve_waiver(given, make_signer(), now=NOW)

    services.waivers.refuse_request(
        run_id=run.pk,
        waiver_id=asked.pk,
        reason="Too risky",
        user=make_signer(),
        now=NOW,
    )
    services.waivers.end(
        run_id=run.pk, waiver_id=given.pk, reason="Met now", user=make_signer(), now=NOW
    )

    assert {one.state for one in standing(run, now=NOW).items} == {State.WAITING}
    with pytest.raises(Refused) as refused:
        approve_waiver(asked, make_signer(), now=NOW)
    assert refused.value.code == "waiver_over"


def test_item_that_is_met_while_waived_counts_as_met():
    run = make_run(now=NOW)
    item = only_item(run)
    approve_waiver(ask_waiver(item, make_signer(), now=NOW), make_signer(), now=NOW)

    sign(item, make_signer(), now=NOW)

    assert standing(run, now=NOW).items[0].state is State.MET


def test_on_paper_a_waivers_signature_counts_while_it_waives_alone():
    run = make_run(now=NOW)
    ada, bob = make_signer(), make_signer()

    def counts(at: datetime) -> list[bool]:
        lines = paper(queries.load_run(run.pk, now=at)).sections[0].items
        return [one.is_valid for one in lines[0].signatures]

    waiver = ask_waiver(only_item(run), ada, now=NOW)
    asked = counts(NOW)
    approve_waiver(waiver, bob, now=NOW)

    assert asked == [False]
    assert counts(NOW) == [True, True]
    assert counts(NOW + 8 * DAY) == [False, False]
