"""A signature counts for one exact version of one item, by one person with the role."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Group

from checklists import reasons, services
from checklists import standing as standing_module
from checklists.actors import person
from checklists.models import SignOff
from checklists.services import Refused
from checklists.standing import State
from t4g_portal.lib.audit.models import AuditEntry
from t4g_portal.roles import AUDITOR, MANAGER, OPS
from tests.checklists.making import (
    OTHER_SHA,
    Found,
    Proven,
    make_run,
    make_signer,
    only_item,
    sign,
    standing,
    verified,
)
from tests.factories import make_user

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
RULE = {"kind": "rule", "verifier": "monitor_up"}


def test_one_signature_meets_an_item_and_makes_the_run_ready():
    run = make_run(now=NOW)
    before = standing(run, now=NOW)

    row = sign(only_item(run), make_signer(), now=NOW, comment="Looked twice")

    after = standing(run, now=NOW)
    assert (before.is_ready, after.is_ready) == (False, True)
    assert after.items[0].state is State.MET
    assert row.statement["git_sha"] == run.git_sha
    entry = AuditEntry.objects.get(action="checklist.signed")
    assert entry.subject == f"run:{run.pk}"
    assert entry.details["statement_hash"] == row.statement_hash


def test_new_commit_makes_signatures_stale_and_closes_the_run():
    run = make_run(now=NOW)
    sign(only_item(run), make_signer(), now=NOW)

    services.runs.move_to_commit(
        run_id=run.pk, git_sha=OTHER_SHA, actor=person(make_signer()), now=NOW
    )

    after = standing(run, now=NOW)
    assert not after.is_ready
    assert after.items[0].state is State.STALE
    assert "git_sha" in after.items[0].reasons[0].values["changed"]


def test_commit_that_comes_back_is_proven_and_signed_anew():
    run = make_run(RULE, now=NOW)
    verified(only_item(run), now=NOW)
    sign(only_item(run), make_signer(), now=NOW)
    assert standing(run, now=NOW).is_ready

    for sha in (OTHER_SHA, run.git_sha):
        services.runs.move_to_commit(
            run_id=run.pk, git_sha=sha, actor=person(make_signer()), now=NOW
        )

    after = standing(run, now=NOW)
    assert not after.is_ready
    assert after.items[0].evidence == ()


def test_finding_that_is_not_renewed_counts_no_more():
    run = make_run(RULE, now=NOW)
    verified(only_item(run), now=NOW)
    sign(only_item(run), make_signer(), now=NOW)

    within = standing(run, now=NOW + standing_module.LOOKED_WITHIN)
    after = standing(run, now=NOW + standing_module.LOOKED_WITHIN + MINUTE)

    assert within.is_ready
    assert after.items[0].state is State.UNKNOWN
    assert not after.is_ready
    assert after.items[0].reasons[0].code == "not_looked_lately"


def test_run_that_is_over_stays_as_it_was_when_a_signer_leaves():
    run = make_run(now=NOW)
    signer = make_signer()
    sign(only_item(run), signer, now=NOW)
    services.runs.close(run_id=run.pk, actor=person(make_signer()), now=NOW + MINUTE)
    signer.is_active = False
    signer.save()

    assert standing(run, now=NOW + DAY).items[0].state is State.MET


def test_same_finding_again_leaves_signature_valid_and_another_verdict_does_not():
    run = make_run(RULE, now=NOW)
    item = only_item(run)
    verified(item, Found(observed={"ms": 20}), now=NOW)
    sign(item, make_signer(), now=NOW)

    verified(item, Found(observed={"ms": 35}), now=NOW + MINUTE)
    same = standing(run, now=NOW + MINUTE)
    verified(item, Found(verdict="failed", code="down"), now=NOW + 2 * MINUTE)
    failed = standing(run, now=NOW + 2 * MINUTE)
    verified(item, Found(), now=NOW + 3 * MINUTE)
    again = standing(run, now=NOW + 3 * MINUTE)

    assert same.is_ready
    assert failed.items[0].state is State.FAILED
    # The statement is what it was when it was signed.
    assert again.is_ready


def test_other_thing_looked_at_makes_signature_stale():
    run = make_run(RULE, now=NOW)
    item = only_item(run)
    verified(item, Found(looked_at={"monitor": 1}), now=NOW)
    sign(item, make_signer(), now=NOW)

    verified(item, Found(looked_at={"monitor": 2}), now=NOW)

    assert standing(run, now=NOW).items[0].state is State.STALE


@pytest.mark.parametrize("verdict", ["failed", "unknown", "not_connected"])
def test_what_did_not_pass_can_not_be_signed(verdict: str):
    run = make_run(RULE, now=NOW)
    item = only_item(run)
    verified(item, Found(verdict=verdict), now=NOW)

    with pytest.raises(Refused) as refused:
        sign(item, make_signer(), now=NOW)

    assert refused.value.code == f"evidence_{verdict}"


def test_evidence_added_or_withdrawn_makes_signature_stale():
    run = make_run(now=NOW)
    item = only_item(run)
    actor = person(make_signer())
    sign(item, make_signer(), now=NOW)

    note = services.evidence.attach_note(
        run_id=run.pk, item_id=item.pk, text="Seen", actor=actor, now=NOW
    )
    added = standing(run, now=NOW).items[0].state
    signer = make_signer()
    sign(item, signer, now=NOW)
    resigned = standing(run, now=NOW).items[0].state
    services.evidence.withdraw(
        run_id=run.pk, evidence_id=note.pk, reason="Wrong page", actor=actor, now=NOW
    )
    withdrawn = standing(run, now=NOW).items[0]

    assert (added, resigned) == (State.STALE, State.MET)
    # The first signature was for no evidence at all, which is the case again.
    assert [one.is_valid for one in withdrawn.signatures] == [True, False]


def test_item_seen_before_a_change_can_not_be_signed():
    run = make_run(now=NOW)
    item = only_item(run)
    seen = standing(run, now=NOW).items[0].seen
    services.evidence.attach_link(
        run_id=run.pk,
        item_id=item.pk,
        url="https://example.org/report",
        title="Report",
        actor=person(make_signer()),
        now=NOW,
    )

    with pytest.raises(Refused) as refused:
        sign(item, make_signer(), now=NOW, seen_statement_hash=seen)

    assert refused.value.code == "changed"


def test_two_signatures_are_by_two_people():
    run = make_run({"signatures_required": 2}, now=NOW)
    item = only_item(run)
    first = make_signer()
    sign(item, first, now=NOW)

    with pytest.raises(Refused) as refused:
        sign(item, first, now=NOW, meaning="approved")
    one = standing(run, now=NOW)
    sign(item, make_signer(), now=NOW)

    assert refused.value.code == "signed_already"
    assert not one.is_ready
    assert standing(run, now=NOW).is_ready


def test_role_is_asked_of_superusers_too():
    run = make_run({"required_role": "Manager"}, now=NOW)
    item = only_item(run)
    Group.objects.get_or_create(name="Manager")

    with pytest.raises(Refused) as refused:
        sign(item, make_user(is_superuser=True), now=NOW)
    sign(item, make_signer(role=MANAGER), now=NOW)

    assert refused.value.code == "role_missing"
    assert standing(run, now=NOW).is_ready


def test_auditor_can_not_sign():
    run = make_run(now=NOW)

    with pytest.raises(Refused) as refused:
        sign(only_item(run), make_user(role=AUDITOR), now=NOW)

    assert refused.value.code == "may_not_sign"


@pytest.mark.parametrize("is_superuser", [False, True])
def test_four_eyes_bind_whoever_opened_the_run_or_brought_evidence(is_superuser: bool):
    opener = make_signer(is_superuser=is_superuser)
    bringer = make_signer(is_superuser=is_superuser)
    run = make_run({"forbid_self": True}, now=NOW, opened_by=opener)
    item = only_item(run)
    services.evidence.attach_note(
        run_id=run.pk, item_id=item.pk, text="Seen", actor=person(bringer), now=NOW
    )

    codes = []
    for user in (opener, bringer):
        with pytest.raises(Refused) as refused:
            sign(item, user, now=NOW)
        codes.append(refused.value.code)
    sign(item, make_signer(), now=NOW)

    assert codes == ["opened_run", "brought_evidence"]
    assert standing(run, now=NOW).is_ready


def test_four_eyes_bind_whoever_brought_the_commit():
    run = make_run({"forbid_self": True}, now=NOW)
    mover = make_signer(is_superuser=True)
    services.runs.move_to_commit(
        run_id=run.pk, git_sha=OTHER_SHA, actor=person(mover), now=NOW
    )

    with pytest.raises(Refused) as refused:
        sign(only_item(run), mover, now=NOW)

    assert refused.value.code == "moved_run"
    sign(only_item(run), make_signer(), now=NOW)
    assert standing(run, now=NOW).is_ready


def test_signer_who_loses_the_role_or_leaves_counts_no_more():
    run = make_run({"required_role": "Ops"}, now=NOW)
    signer = make_signer()
    sign(only_item(run), signer, now=NOW)

    signer.groups.clear()
    lost = standing(run, now=NOW).items[0]
    signer.groups.add(Group.objects.get(name="Ops"))
    back = standing(run, now=NOW).is_ready
    signer.is_active = False
    signer.save()
    gone = standing(run, now=NOW).items[0]

    assert {reason.code for reason in lost.reasons} == {
        "signer_may_no_more",
        "signer_lost_role",
        "signatures_missing",
    }
    assert back
    assert gone.reasons[0].code == "signer_inactive"


@pytest.mark.parametrize(
    "age",
    [timedelta(minutes=5, seconds=1), timedelta(seconds=-1)],
    ids=["old", "ahead"],
)
def test_proof_is_at_most_five_minutes_old_and_never_of_the_future(age: timedelta):
    run = make_run(now=NOW)

    with pytest.raises(Refused) as refused:
        sign(only_item(run), make_signer(), now=NOW, proof=Proven(NOW - age))

    assert refused.value.code == "not_confirmed"
    assert not SignOff.objects.exists()


def test_sign_off_lapses_with_time_and_says_until_when_it_holds():
    run = make_run({"valid_for_s": 86_400}, now=NOW)
    sign(only_item(run), make_signer(), now=NOW)

    fresh, last, over = (
        standing(run, now=NOW + age) for age in (0 * DAY, DAY - MINUTE, DAY)
    )

    assert fresh.valid_until == NOW + DAY
    assert [one.is_ready for one in (fresh, last, over)] == [True, True, False]
    assert over.items[0].state is State.STALE


def test_stale_signature_is_superseded_by_a_new_one_of_the_same_person():
    run = make_run({"valid_for_s": 86_400}, now=NOW)
    signer = make_signer()
    old = sign(only_item(run), signer, now=NOW)

    new = sign(only_item(run), signer, now=NOW + DAY)

    old.refresh_from_db()
    assert old.superseded_by == new
    assert standing(run, now=NOW + DAY).is_ready


def test_revoked_signature_counts_no_more_and_stays_readable():
    run = make_run(now=NOW)
    signer = make_signer()
    row = sign(only_item(run), signer, now=NOW)

    services.signing.revoke(
        run_id=run.pk, sign_off_id=row.pk, reason="Wrong page", user=signer, now=NOW
    )

    row.refresh_from_db()
    assert row.revoked_reason == "Wrong page"
    assert not standing(run, now=NOW).is_ready


def test_reopened_item_has_to_be_proven_and_signed_anew():
    run = make_run(now=NOW)
    item = only_item(run)
    sign(item, make_signer(), now=NOW)

    services.items.reopen(
        run_id=run.pk,
        item_id=item.pk,
        reason="Changed our mind",
        actor=person(make_signer()),
        now=NOW,
    )

    after = standing(run, now=NOW).items[0]
    assert after.state is State.STALE
    assert after.reasons[0].values["changed"] == ["revision"]


def test_item_of_another_run_can_not_be_signed():
    run, other = make_run(now=NOW), make_run(now=NOW)

    with pytest.raises(Refused) as refused:
        services.signing.sign(
            run_id=run.pk,
            item_id=only_item(other).pk,
            user=make_signer(),
            meaning="checked",
            seen_statement_hash="x",
            proof=Proven(NOW),
            now=NOW,
        )

    assert refused.value.code == "foreign_item"


def test_run_that_is_over_can_not_be_signed():
    run = make_run(now=NOW)
    item = only_item(run)
    services.runs.cancel(
        run_id=run.pk, reason="No release", actor=person(make_signer()), now=NOW
    )

    with pytest.raises(Refused) as refused:
        sign(item, make_signer(), now=NOW)

    assert refused.value.code == "run_over"


def test_clock_set_back_lets_nothing_of_the_future_count():
    run = make_run(RULE, now=NOW)
    item = only_item(run)
    verified(item, now=NOW)
    sign(item, make_signer(), now=NOW)

    early = standing(run, now=NOW - DAY)

    assert not early.is_ready
    assert early.items[0].state is State.UNKNOWN


def test_first_name_printed_is_the_name_at_signing():
    run = make_run(now=NOW)
    signer = make_signer(first_name="Ana", last_name="Costa")
    row = sign(only_item(run), signer, now=NOW)

    signer.last_name = "Other"
    signer.save()

    row.refresh_from_db()
    assert (row.printed_name, row.role) == ("Ana Costa", OPS.name)


def test_every_reason_of_the_judge_has_its_words():
    """What is said where; a code without words would be an error page."""
    source = Path(standing_module.__file__ or "").read_text()
    codes = set(re.findall(r'Reason\(\s*"(\w+)"', source))

    assert codes
    assert codes <= reasons.codes()


def test_program_that_speaks_like_a_verifier_is_quoted_by_its_title():
    run = make_run({"kind": "external"}, now=NOW)
    services.evidence.attach_payload(
        run_id=run.pk,
        item_id=only_item(run).pk,
        title="Tests",
        payload={"verifier": "monitor_up", "code": "up", "values": 7},
        verdict="failed",
        actor=person(make_signer()),
        now=NOW,
    )

    [reason] = standing(run, now=NOW).items[0].reasons

    assert reasons.words(reason).startswith("Tests did not pass.")
