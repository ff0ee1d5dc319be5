"""Telling of deployments: twice, late, out of order, at once, and nonsense."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from telemetry.models import Deployment
from telemetry.queries import of_commit
from telemetry.services import KEPT, UnableToRecord, forget, record_deployment
from tests.factories import make_service
from tests.telemetry.making import SHA, make_deployment

MINUTE = timedelta(minutes=1)


def tell(service, now, **values):
    values = {
        "environment": "production",
        "git_sha": SHA,
        "state": "started",
        "source": "github",
        "external_id": "118",
    } | values
    return record_deployment(service=service, now=now, **values)


@pytest.fixture
def service(db):
    return make_service()


def test_start_and_end_are_one_deployment(service, now):
    first = tell(service, now, url="https://ci.example.org/118", actor="Ana")
    later = tell(service, now + 3 * MINUTE, state="succeeded", version="1.4")

    row = Deployment.objects.get()
    assert (first.is_new, later.is_new) == (True, False)
    assert row == first.deployment == later.deployment
    assert (row.state, row.version, row.actor) == ("succeeded", "1.4", "Ana")
    assert (row.started_at, row.finished_at) == (now, now + 3 * MINUTE)
    assert row.recorded_at == now


@pytest.mark.parametrize("state", ["started", "succeeded", "failed", "rolled_back"])
def test_same_word_again_changes_nothing(service, now, state):
    tell(service, now, state=state)
    before = Deployment.objects.values().get()

    told = tell(service, now + MINUTE, state=state)

    assert not told.is_new
    assert Deployment.objects.values().get() == before


def test_start_that_comes_late_sets_nothing_back(service, now):
    tell(service, now, state="succeeded")

    tell(service, now + MINUTE, started_at=now - 2 * MINUTE, actor="Ana")

    row = Deployment.objects.get()
    assert (row.state, row.finished_at) == ("succeeded", now)
    assert (row.started_at, row.actor) == (now - 2 * MINUTE, "Ana")


def test_rollback_keeps_when_it_had_ended(service, now):
    tell(service, now, state="succeeded")
    tell(service, now + 5 * MINUTE, state="rolled_back")
    tell(service, now + 6 * MINUTE, state="succeeded")

    row = Deployment.objects.get()
    assert row.state == "rolled_back"
    assert (row.finished_at, row.rolled_back_at) == (now, now + 5 * MINUTE)


def test_success_and_failure_exclude_each_other(service, now):
    tell(service, now, state="succeeded")

    with pytest.raises(UnableToRecord, match="ended already"):
        tell(service, now + MINUTE, state="failed")

    assert Deployment.objects.get().state == "succeeded"


def test_without_a_number_the_start_tells_which_one(service, now):
    for state in ("started", "succeeded"):
        tell(service, now, external_id="", started_at=now - MINUTE, state=state)
    tell(service, now, external_id="", started_at=now)

    states = Deployment.objects.order_by("started_at").values_list("state", flat=True)
    assert list(states) == ["succeeded", "started"]


def test_without_number_and_start_nothing_is_recorded(service, now):
    with pytest.raises(UnableToRecord, match="external_id or started_at"):
        tell(service, now, external_id="")

    assert not Deployment.objects.exists()


def test_number_of_another_deployment_is_refused(service, now):
    tell(service, now)

    for other in ({"git_sha": "f" * 40}, {"environment": "staging"}):
        with pytest.raises(UnableToRecord, match="a number of its own"):
            tell(service, now, **other)
    with pytest.raises(UnableToRecord, match="a number of its own"):
        tell(make_service(), now)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"git_sha": "HEAD"}, "hash"),
        ({"git_sha": SHA + "\n;"}, "hash"),
        ({"git_sha": "f" * 65}, "hash"),
        ({"environment": ""}, "letters"),
        ({"environment": "a b"}, "letters"),
        ({"environment": "e" * 61}, "letters"),
        ({"source": "é"}, "letters"),
        ({"state": "exploded"}, "states"),
        ({"version": "v" * 101, "actor": "a" * 151}, "version, actor"),
        ({"external_id": "1\x00"}, "external_id"),
        ({"external_id": "9" * 501}, "external_id"),
        ({"started_at": timedelta(minutes=6)}, "future"),
        ({"started_at": -KEPT - MINUTE}, "400 days"),
        ({"started_at": timedelta(), "finished_at": -MINUTE}, "before it started"),
    ],
)
def test_nonsense_is_refused_with_what_to_send(service, now, values, said):
    values = {
        name: now + value if isinstance(value, timedelta) else value
        for name, value in values.items()
    }

    with pytest.raises(UnableToRecord, match=said):
        tell(service, now, **values)

    assert not Deployment.objects.exists()


def test_production_is_production_however_it_is_written(service, now):
    first = tell(service, now, environment="Production")
    later = tell(service, now, environment="production", state="succeeded")

    assert first.deployment == later.deployment
    assert later.deployment.is_production
    line = of_commit(
        service_id=service.pk, environment="Production", git_sha=SHA, now=now
    )
    assert line is not None


def test_clocks_that_differ_make_no_end_before_a_start(service, now):
    # The pipeline's clock goes before ours, then another's behind it.
    tell(service, now, external_id="a", started_at=now + 2 * MINUTE)
    tell(service, now + MINUTE, external_id="a", state="succeeded")
    tell(service, now, external_id="b")
    tell(service, now, external_id="b", state="failed", finished_at=now - MINUTE)

    for row in Deployment.objects.all():
        assert row.finished_at is not None
        assert row.started_at <= row.finished_at


def test_commit_is_kept_in_lower_case_and_text_without_nulls(service, now):
    row = tell(service, now, git_sha=SHA.upper(), actor=" Ana\x00 ").deployment

    assert (row.git_sha, row.actor) == (SHA, "Ana")


def test_database_refuses_times_that_contradict_the_state(service, now):
    row = tell(service, now).deployment

    for wrong in (
        {"finished_at": now},
        {"state": "succeeded"},
        {"state": "rolled_back", "finished_at": now},
        {"state": "failed", "finished_at": now - MINUTE},
        {"state": "exploded"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Deployment.objects.filter(pk=row.pk).update(**wrong)


@pytest.mark.django_db(transaction=True)
def test_told_of_by_many_at_once_it_is_one(now):
    service = make_service()
    together = threading.Barrier(8)
    told = []

    def tell_of_it(number: int) -> None:
        together.wait()
        try:
            state = "started" if number % 2 else "succeeded"
            told.append(tell(service, now, state=state))
        finally:
            connection.close()

    threads = [threading.Thread(target=tell_of_it, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert Deployment.objects.get().state == "succeeded"
    assert [one.is_new for one in told].count(True) == 1
    assert len(told) == 8


def test_what_is_old_is_forgotten_but_not_what_is_in_place(service, now):
    long_ago = now - KEPT
    for days, state in ((9, "succeeded"), (7, "succeeded"), (6, "failed")):
        make_deployment(
            now=long_ago - timedelta(days=days), service=service, state=state
        )
    other = make_deployment(
        now=long_ago - timedelta(days=9), service=service, environment="staging"
    )
    recent = make_deployment(now=now, service=service, state="failed")

    count = forget(now=now)

    in_place = Deployment.objects.get(started_at=long_ago - timedelta(days=7))
    assert count == 2
    assert set(Deployment.objects.all()) == {in_place, other, recent}
    assert forget(now=now) == 0
