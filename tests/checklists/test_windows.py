"""A run opens and closes the deploy window of its service, and the chain says so."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from checklists.actors import engine, person, program
from checklists.services import Refused, runs, windows
from incidents.models import DeployWindow
from t4g_portal.lib.api.issuing import issue
from t4g_portal.lib.models import AuditEntry
from tests.checklists.making import make_run, make_signer

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def entries() -> list[str]:
    return list(
        AuditEntry.objects.filter(action__startswith="checklist.window_")
        .order_by("seq")
        .values_list("action", flat=True)
    )


def test_run_opens_a_window_over_its_service(now):
    run, user = make_run(now=now), make_signer(first_name="Ana", last_name="Lo")

    window = windows.open_window(
        run_id=run.pk, minutes=20, reason="1.4", actor=person(user), now=now
    )

    assert (window.service, window.subject) == (run.service, run.subject)
    assert window.ends_at == now + 20 * MINUTE
    assert window.opener == "Ana Lo"
    assert windows.window_of(run, now=now) == window
    assert entries() == ["checklist.window_opened"]


def test_window_of_a_program_bears_the_name_of_its_key(now):
    run = make_run(now=now)
    key, _text = issue(
        owner=make_signer(), name="CI", scopes=["incidents:write"], expires_at=None
    )

    window = windows.open_window(
        run_id=run.pk, minutes=20, reason="1.4", actor=program(key), now=now
    )

    assert window.opener == "CI"


def test_run_closes_its_window(now):
    run, user = make_run(now=now), make_signer()
    windows.open_window(
        run_id=run.pk, minutes=20, reason="1.4", actor=person(user), now=now
    )

    windows.close_window(run_id=run.pk, actor=person(user), now=now + MINUTE)

    assert DeployWindow.objects.get().end_cause == "closed"
    assert windows.window_of(run, now=now + MINUTE) is None
    assert entries() == ["checklist.window_opened", "checklist.window_closed"]


@pytest.mark.parametrize("minutes", [0, 61])
def test_window_out_of_bounds_is_refused_and_leaves_no_entry(now, minutes):
    run = make_run(now=now)

    with pytest.raises(Refused, match="1 to 60 minutes"):
        windows.open_window(
            run_id=run.pk, minutes=minutes, reason="x", actor=engine(), now=now
        )

    assert entries() == []


def test_run_that_is_over_opens_none_but_closes_its_own(now):
    run, user = make_run(now=now), make_signer()
    windows.open_window(
        run_id=run.pk, minutes=20, reason="1.4", actor=person(user), now=now
    )
    runs.cancel(run_id=run.pk, reason="no", actor=person(user), now=now)

    with pytest.raises(Refused):
        windows.open_window(
            run_id=run.pk, minutes=20, reason="1.4", actor=person(user), now=now
        )
    windows.close_window(run_id=run.pk, actor=person(user), now=now)


def test_run_does_not_close_the_window_of_another(now):
    run = make_run(now=now)
    other = make_run(now=now, service=run.service)
    windows.open_window(
        run_id=run.pk, minutes=20, reason="1.4", actor=engine(), now=now
    )

    with pytest.raises(Refused, match="no open deploy window"):
        windows.close_window(run_id=other.pk, actor=engine(), now=now)
    with pytest.raises(Refused, match="open until"):
        windows.open_window(
            run_id=other.pk, minutes=20, reason="1.4", actor=engine(), now=now
        )


def test_page_of_a_run_opens_its_window_and_ends_it(client):
    now = timezone.now()
    run, user = make_run(now=now), make_signer()
    client.force_login(user)
    door = reverse("checklists:window", args=[run.pk])

    opened = client.post(door, {"minutes": "20", "reason": "1.4"}, follow=True)

    assert "End it now" in opened.content.decode()
    assert windows.window_of(run, now=timezone.now()) is not None
    client.post(door, {"act": "close"})
    assert windows.window_of(run, now=timezone.now()) is None


def test_page_says_what_is_wrong_with_the_minutes(client):
    run, user = make_run(now=timezone.now()), make_signer()
    client.force_login(user)

    answer = client.post(
        reverse("checklists:window", args=[run.pk]), {"minutes": "90", "reason": "1.4"}
    )

    assert answer.status_code == 422
    assert not DeployWindow.objects.exists()
