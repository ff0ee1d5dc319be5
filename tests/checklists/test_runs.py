"""A run is a frozen copy for one release; the database keeps what is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import Error, connection, transaction

from checklists import queries, services
from checklists.actors import engine, person
from checklists.models import (
    ChecklistRun,
    Evidence,
    GateDecision,
    RunItem,
    SignOff,
    TemplateVersion,
    Waiver,
)
from checklists.services import Refused
from t4g_portal.lib.audit.models import AuditEntry
from tests.checklists.making import (
    OTHER_SHA,
    SHA,
    Found,
    approve_waiver,
    ask_waiver,
    make_run,
    make_signer,
    make_template,
    only_item,
    publish,
    sign,
    standing,
    verified,
)
from tests.factories import make_contact, make_service

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
RULE = {"kind": "rule", "verifier": "monitor_up"}


def test_run_keeps_its_copy_when_the_template_is_edited():
    template = make_template({"title": "As signed"})
    run = make_run(now=NOW, version=publish(template, now=NOW))
    item = template.sections.get().items.get()

    item.title = "As edited"
    item.save()
    publish(template, now=NOW)

    assert only_item(run).title == "As signed"


def test_run_is_opened_of_the_newest_published_version_alone():
    template = make_template()
    old = publish(template, now=NOW)
    template.sections.get().items.create(key="more", title="More")
    new = publish(template, now=NOW)

    with pytest.raises(Refused) as refused:
        make_run(now=NOW, version=old)

    assert refused.value.code == "not_published"
    assert make_run(now=NOW, version=new).items.count() == 2


def test_withdrawn_version_and_switched_off_template_open_no_run():
    template = make_template()
    version = publish(template, now=NOW)
    services.templates.withdraw(
        version_id=version.pk, reason="Wrong", actor=engine(), now=NOW
    )
    off = make_template(is_enabled=False)
    codes = []

    for one in (version, publish(off, now=NOW)):
        with pytest.raises(Refused) as refused:
            make_run(now=NOW, version=one)
        codes.append(refused.value.code)

    assert codes == ["not_published", "template_off"]


def test_one_run_of_a_template_is_open_for_a_service_and_environment():
    template, service = make_template(), make_service()
    version = publish(template, now=NOW)
    run = make_run(now=NOW, version=version, service=service)

    with pytest.raises(Refused) as refused:
        make_run(now=NOW, version=version, service=service, git_sha=OTHER_SHA)
    make_run(now=NOW, version=version, service=service, environment="staging")
    services.runs.cancel(run_id=run.pk, reason="No", actor=engine(), now=NOW)
    make_run(now=NOW, version=version, service=service)

    assert refused.value.code == "open_already"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"git_sha": "main"}, "bad_commit"),
        ({"git_sha": "abc"}, "bad_commit"),
        ({"git_sha": "a" * 65}, "bad_commit"),
        ({"environment": "pro duction"}, "bad_environment"),
        ({"environment": ""}, "bad_environment"),
        ({"deadline": NOW}, "deadline_past"),
        ({"title": "x" * 201}, "title_too_long"),
    ],
)
def test_run_that_makes_no_sense_is_refused(values: dict[str, Any], code: str):
    with pytest.raises(Refused) as refused:
        make_run(now=NOW, **values)

    assert refused.value.code == code
    assert not ChecklistRun.objects.exists()


def test_owner_is_copied_and_survives_as_a_name():
    ana = make_contact(name="Ana")
    run = make_run({"owner": ana}, now=NOW)

    ana.delete()

    item = only_item(run)
    assert (item.owner, item.owner_name) == (None, "Ana")


def test_only_a_ready_run_is_closed():
    run = make_run(now=NOW)

    with pytest.raises(Refused) as refused:
        services.runs.close(run_id=run.pk, actor=engine(), now=NOW)
    sign(only_item(run), make_signer(), now=NOW)
    services.runs.close(run_id=run.pk, actor=engine(), now=NOW)

    run.refresh_from_db()
    assert refused.value.code == "not_ready"
    assert run.state == "closed"
    # It stands as it did, but nothing is to be released of it any more.
    after = standing(run, now=NOW + 400 * DAY)
    assert after.items[0].passes
    assert not after.is_ready


def test_reason_of_closing_is_bounded_and_holds_no_nul():
    run = make_run(now=NOW)
    sign(only_item(run), make_signer(), now=NOW)
    on: dict[str, Any] = {"run_id": run.pk, "actor": engine(), "now": NOW}

    with pytest.raises(Refused) as refused:
        services.runs.close(**on, reason="x" * 2_001)
    services.runs.close(**on, reason=" Out\x00 ")

    run.refresh_from_db()
    assert (refused.value.code, run.end_reason) == ("reason_too_long", "Out")


def test_run_expires_at_its_deadline_and_stays_so():
    run = make_run(now=NOW, deadline=NOW + DAY)
    sign(only_item(run), make_signer(), now=NOW)

    at_deadline = standing(run, now=NOW + DAY).is_ready
    ended = services.runs.expire_due(now=NOW + DAY)

    run.refresh_from_db()
    assert (at_deadline, ended, run.state) == (False, [run.pk], "expired")
    assert services.runs.expire_due(now=NOW + DAY) == []


def test_run_that_cannot_be_ended_keeps_no_other_open(monkeypatch, caplog):
    bad, good = (make_run(now=NOW, deadline=NOW + DAY) for _ in range(2))
    append = services.runs.append

    def append_good(act, run, *rest):
        if run == bad:
            raise ValueError("no entry")
        append(act, run, *rest)

    monkeypatch.setattr(services.runs, "append", append_good)

    assert services.runs.expire_due(now=NOW + DAY) == [good.pk]
    bad.refresh_from_db()
    assert bad.state == "open"
    assert f"run {bad.pk} could not be ended" in caplog.text


def test_closed_run_refuses_every_act():
    run = make_run(now=NOW)
    item = only_item(run)
    row = sign(item, make_signer(), now=NOW)
    user = make_signer()
    actor = person(user)
    services.runs.close(run_id=run.pk, actor=actor, now=NOW)
    on: dict[str, Any] = {"run_id": run.pk, "now": NOW}
    acts: list[Any] = [
        lambda: services.items.reopen(**on, item_id=item.pk, reason="r", actor=actor),
        lambda: services.items.assign(**on, item_id=item.pk, owner=None, actor=actor),
        lambda: services.signing.revoke(
            **on, sign_off_id=row.pk, reason="r", user=user
        ),
        lambda: ask_waiver(item, user, now=NOW),
        lambda: services.evidence.attach_note(
            **on, item_id=item.pk, text="t", actor=actor
        ),
        lambda: verified(item, now=NOW),
        lambda: services.runs.move_to_commit(**on, git_sha=OTHER_SHA, actor=actor),
        lambda: services.runs.close(**on, actor=actor),
        lambda: services.runs.cancel(**on, reason="r", actor=actor),
    ]

    for act in acts:
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.code == "run_over"


def test_every_act_has_its_entry_in_the_chain_or_does_not_happen(
    monkeypatch: pytest.MonkeyPatch,
):
    run = make_run(now=NOW)
    item = only_item(run)

    def fail(**_values: Any) -> None:
        raise RuntimeError("the chain is full")

    monkeypatch.setattr("t4g_portal.lib.audit.append", fail)
    with pytest.raises(RuntimeError):
        sign(item, make_signer(), now=NOW)

    assert not SignOff.objects.exists()


def test_finding_of_the_same_outcome_adds_no_entry_to_the_chain():
    run = make_run(RULE, now=NOW)
    item = only_item(run)
    for verdict in ("passed", "passed", "failed", "failed", "passed"):
        verified(item, Found(verdict=verdict), now=NOW)

    entries = AuditEntry.objects.filter(action="checklist.item_verified")

    assert entries.count() == 3
    assert Evidence.objects.count() == 5


def test_finding_for_another_commit_is_refused():
    run = make_run(RULE, now=NOW)
    services.runs.move_to_commit(
        run_id=run.pk, git_sha=OTHER_SHA, actor=engine(), now=NOW
    )

    with pytest.raises(Refused) as refused:
        verified(only_item(run), now=NOW, sha=SHA)

    assert refused.value.code == "moved_on"


# --- What the database refuses, whoever writes ---------------------------------------------


def refuses(act: Any) -> None:
    with pytest.raises(Error), transaction.atomic():
        act()


def full_run() -> ChecklistRun:
    """A closed run with one row of everything."""
    run = make_run({}, {"is_blocking": False}, now=NOW)
    item, other = run.items.order_by("pk")
    services.evidence.attach_file(
        run_id=run.pk,
        item_id=item.pk,
        name="../report.pdf",
        data=b"%PDF",
        actor=person(make_signer()),
        now=NOW,
    )
    sign(item, make_signer(), now=NOW, address="192.0.2.7")
    approve_waiver(ask_waiver(other, make_signer(), now=NOW), make_signer(), now=NOW)
    services.runs.close(run_id=run.pk, actor=person(make_signer()), now=NOW)
    return run


def test_database_refuses_every_write_to_a_run_that_is_over():
    run = full_run()
    item = run.items.earliest("pk")

    refuses(lambda: ChecklistRun.objects.filter(pk=run.pk).update(state="open"))
    refuses(lambda: ChecklistRun.objects.filter(pk=run.pk).update(end_reason="x"))
    refuses(lambda: run.items.update(title="x"))
    refuses(lambda: run.items.update(next_verify_at=NOW))
    refuses(lambda: Evidence.objects.update(withdrawn_at=NOW))
    refuses(lambda: SignOff.objects.update(revoked_at=NOW))
    refuses(lambda: Waiver.objects.update(ended_at=NOW, ended_as="revoked"))
    refuses(
        lambda: Evidence.objects.create(
            item=item,
            item_revision=1,
            git_sha=SHA,
            kind="note",
            sha256="x",
            basis_sha256="x",
            captured_at=NOW,
        )
    )


@pytest.mark.parametrize(
    "table",
    [
        "checklistrun",
        "runitem",
        "evidence",
        "signoff",
        "waiver",
        "templateversion",
        "gatedecision",
    ],
)
def test_database_deletes_no_record(table: str):
    run = full_run()
    GateDecision.objects.create(
        service_slug="s",
        environment="e",
        git_sha=SHA,
        run=run,
        verdict="pass",
        decided_at=NOW,
    )

    def delete() -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM checklists_{table}")

    refuses(delete)


def test_database_changes_no_record_while_the_run_is_open():
    run = make_run(now=NOW)
    item = only_item(run)
    row = sign(item, make_signer(), now=NOW)
    services.signing.revoke(
        run_id=run.pk, sign_off_id=row.pk, reason="r", user=row.user, now=NOW
    )
    decision = GateDecision.objects.create(
        service_slug="s", environment="e", git_sha=SHA, verdict="block", decided_at=NOW
    )

    refuses(lambda: SignOff.objects.update(printed_name="Somebody else"))
    refuses(lambda: SignOff.objects.update(revoked_at=None))
    refuses(lambda: SignOff.objects.update(revoked_at=NOW + DAY))
    refuses(lambda: RunItem.objects.update(title="x"))
    refuses(lambda: RunItem.objects.update(signatures_required=2))
    refuses(lambda: TemplateVersion.objects.update(content={}))
    refuses(
        lambda: TemplateVersion.objects.update(status="proposed", published_at=None)
    )
    refuses(lambda: GateDecision.objects.filter(pk=decision.pk).update(verdict="pass"))


def test_erasing_an_address_and_deleting_an_account_break_nothing():
    run = full_run()
    bringer = Evidence.objects.get().captured_by
    assert bringer is not None

    forgotten = services.signing.erase_addresses(now=NOW + 366 * DAY)
    bringer.delete()

    assert forgotten == 1
    assert Evidence.objects.get().captured_by_name
    assert queries.load_run(run.pk, now=NOW).standing.items[0].passes


def test_findings_between_two_equal_ones_may_go_unless_signed():
    run = make_run(RULE, now=NOW)
    item = only_item(run)
    for _ in range(3):
        verified(item, now=NOW)
    sign(item, make_signer(), now=NOW)
    for _ in range(2):
        verified(item, now=NOW)
    numbers = list(Evidence.objects.order_by("pk").values_list("pk", flat=True))
    gone = []

    for number in numbers:
        try:
            with transaction.atomic():
                Evidence.objects.filter(pk=number).delete()
        except Error:
            continue
        gone.append(number)

    # The first, the one that was signed, and the last stay.
    assert gone == [numbers[1], numbers[3]]
    assert standing(run, now=NOW).is_ready


def test_run_is_read_in_as_many_queries_for_many_items_as_for_one(
    django_assert_num_queries: Any,
):
    one, many = make_run(now=NOW), make_run(*[{} for _ in range(20)], now=NOW)
    for run in (one, many):
        for item in run.items.all():
            sign(item, make_signer(), now=NOW)

    for run in (one, many):
        with django_assert_num_queries(6):
            loaded = queries.load_run(run.pk, now=NOW)
        assert loaded.standing.is_ready
