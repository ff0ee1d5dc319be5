"""Several people at the same run at once: nothing is lost, nothing is signed twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from django.db import connections

from checklists import services
from checklists.actors import engine, person
from checklists.models import ChecklistRun, SignOff
from checklists.services import Refused
from t4g_portal.lib.audit import verifying
from tests.checklists.making import (
    SHA,
    Proven,
    make_run,
    make_signer,
    make_template,
    only_item,
    publish,
    standing,
    verified,
)
from tests.factories import make_service

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
ROUNDS = 5


def race(*acts: Callable[[], Any]) -> list[str]:
    """Do all of it at once; return how each ended: "" or the code of a refusal."""
    ends = [""] * len(acts)
    failures: list[BaseException] = []
    start = threading.Barrier(len(acts))

    def do(number: int, act: Callable[[], Any]) -> None:
        start.wait(10)
        try:
            act()
        except Refused as refused:
            ends[number] = refused.code
        except BaseException as failure:
            failures.append(failure)
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=do, args=(number, act), daemon=True)
        for number, act in enumerate(acts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures, failures
    assert verifying.verify().is_intact
    return ends


def signing(run: ChecklistRun, user: Any) -> Callable[[], Any]:
    """Return the act of signing the run's only item as it is shown now."""
    item, seen = only_item(run), standing(run, now=NOW).items[0].seen
    return lambda: services.signing.sign(
        run_id=run.pk,
        item_id=item.pk,
        user=user,
        meaning="checked",
        seen_statement_hash=seen,
        proof=Proven(NOW),
        now=NOW,
    )


def test_one_person_twice_at_once_signs_once():
    for _ in range(ROUNDS):
        run = make_run(now=NOW)
        act = signing(run, make_signer())

        ends = race(act, act, act)

        assert sorted(ends) == ["", "signed_already", "signed_already"]
        assert SignOff.objects.filter(item__run=run).count() == 1


def test_two_people_at_once_both_sign():
    for _ in range(ROUNDS):
        run = make_run({"signatures_required": 2}, now=NOW)

        ends = race(signing(run, make_signer()), signing(run, make_signer()))

        assert ends == ["", ""]
        assert standing(run, now=NOW).is_ready


def test_signature_and_the_end_of_the_run_come_one_after_the_other():
    for _ in range(ROUNDS):
        run = make_run(now=NOW)

        ends = race(
            signing(run, make_signer()),
            lambda run=run: services.runs.cancel(  # type: ignore[misc]
                run_id=run.pk, reason="No", actor=engine(), now=NOW
            ),
        )

        is_signed = SignOff.objects.filter(item__run=run).exists()
        assert ends == ["" if is_signed else "run_over", ""]


def test_signature_and_new_evidence_never_both_count():
    for _ in range(ROUNDS):
        run = make_run(now=NOW)
        item = only_item(run)

        ends = race(
            signing(run, make_signer()),
            lambda run=run, item=item: services.evidence.attach_note(  # type: ignore[misc]
                run_id=run.pk, item_id=item.pk, text="Seen", actor=engine(), now=NOW
            ),
        )

        assert ends in (["", ""], ["changed", ""])
        assert not standing(run, now=NOW).is_ready


def test_verifying_and_signing_at_once_wait_for_one_another():
    for _ in range(ROUNDS):
        run = make_run({"kind": "rule", "verifier": "monitor_up"}, now=NOW)
        item = only_item(run)
        verified(item, now=NOW)

        ends = race(
            signing(run, make_signer()),
            lambda item=item: verified(item, now=NOW),  # type: ignore[misc]
            lambda item=item: verified(item, now=NOW),  # type: ignore[misc]
        )

        assert ends == ["", "", ""]
        assert standing(run, now=NOW).is_ready


def test_runs_opened_at_once_are_one():
    template, service = make_template(), make_service()
    version = publish(template, now=NOW)

    ends = race(
        *[lambda: make_run(now=NOW, version=version, service=service) for _ in range(4)]
    )

    assert sorted(ends) == ["", "open_already", "open_already", "open_already"]
    assert ChecklistRun.objects.count() == 1


def test_template_edited_and_published_while_a_run_of_it_is_opened_loses_nothing():
    template = make_template()
    version = publish(template, now=NOW)
    actor = person(make_signer())

    def edit() -> None:
        template.sections.get().items.create(key="more", title="More")
        publish(template, now=NOW, actor=actor)

    ends = race(edit, lambda: make_run(now=NOW, version=version, git_sha=SHA))

    assert ends in (["", ""], ["", "not_published"])
    for run in ChecklistRun.objects.all():
        assert run.items.count() == 1
        assert run.template_version == version


def test_housekeeping_twice_at_once_ends_a_run_once():
    for _ in range(ROUNDS):
        run = make_run(now=NOW, deadline=NOW.replace(hour=10))
        ended: list[int] = []
        act = partial(_expire_into, ended)

        race(act, act)

        assert ended == [run.pk]


def _expire_into(ended: list[int]) -> None:
    ended += services.runs.expire_due(now=NOW.replace(hour=11))
