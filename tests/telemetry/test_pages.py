"""What is live where, the page of one, and where else deployments show."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from incidents import deploy_windows, intake, surroundings
from incidents.models import Alert, Incident
from kpis.annotations import marks
from telemetry import queries
from telemetry.models import Deployment
from tests.checklists.making import make_run
from tests.factories import make_monitor, make_priority_rules, make_service, make_user
from tests.history import make_ledger, make_results
from tests.kpis.making import make_kpi
from tests.telemetry.making import SHA, make_deployment

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def backend(db: None) -> Any:
    return make_service(name="Backend", slug="backend")


@pytest.fixture
def reader(client: Client) -> Client:
    client.force_login(make_user(is_superuser=True))
    return client


def make_incident(*, service: Any, began: Any, now: Any) -> Incident:
    make_priority_rules()
    alert = intake.trigger(
        dedup_key="monitor:1",
        service=service,
        title="HTTP 503",
        priority="p0",
        now=now,
        started_at=began,
    )
    assert isinstance(alert, Alert)
    return alert.incident


def around(incident: Incident, now: Any, may: Any = lambda _permission: True) -> Any:
    found = surroundings.around(incident=incident, now=now, may=may)
    return [one for one in found if one.kind == "Deployment"]


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def test_live_is_the_last_that_succeeded_and_not_what_came_to_nothing(backend, now):
    good = make_deployment(now=now - 3 * HOUR, service=backend)
    make_deployment(now=now - 2 * HOUR, service=backend, state="failed")
    bad = make_deployment(
        now=now,
        service=backend,
        state="rolled_back",
        finished_at=now - HOUR,
        rolled_back_at=now - 50 * MINUTE,
    )
    other = make_deployment(now=now, service=backend, environment="staging")

    production, staging = queries.deployments_page(now=now).places

    assert (production.live, production.since) == (good, now - 50 * MINUTE)
    assert production.newer is not None
    assert production.newer.deployment == bad
    assert (staging.live, staging.newer, staging.comparison) == (other, None, None)


def test_deployment_whose_end_nobody_told_is_called_so(backend, now):
    make_deployment(now=now - 7 * HOUR, service=backend, state="started")
    make_deployment(now=now - HOUR, service=backend, state="started")

    lines = queries.deployments_page(now=now).recent

    assert [line.is_lost for line in lines] == [False, True]


def test_page_asks_the_same_whatever_is_on_it(backend, now, django_assert_num_queries):
    for number in range(3):
        service = make_service()
        make_monitor(service=service)
        for back in range(1, 4):
            make_deployment(now=now - (number + back) * HOUR, service=service)

    with django_assert_num_queries(6):
        assert len(queries.deployments_page(now=now).places) == 3


def test_worse_after_than_before_is_said_with_the_monitor(reader):
    now = timezone.now()
    monitor = make_monitor(name="API")
    at = now - HOUR
    make_results(
        monitor=monitor,
        now=now,
        base_ms=50,
        reach=3 * HOUR,
        failing=[(HOUR, timedelta(), 503)],
    )
    slow = make_deployment(now=at, service=monitor.service, started_at=at - MINUTE)

    page = queries.deployment_page(pk=slow.pk, now=now)
    text = reader.get(reverse("deployments:detail", args=[slow.pk])).content.decode()

    assert page.comparison is not None
    assert page.comparison.verdict == "down"
    assert plain(page.comparison.text) == "API: 100 % of its checks fail, 0 % before"
    assert [row.is_worse for row in page.rows] == [True]
    assert "Worse than before" in text
    assert "is live in production" in text
    assert (
        "Worse than before" in reader.get(reverse("deployments:list")).content.decode()
    )


def test_measuring_ends_with_the_next_deployment(now):
    monitor = make_monitor()
    first = make_deployment(
        now=now - HOUR, service=monitor.service, started_at=now - HOUR - MINUTE
    )
    make_deployment(now=now - 55 * MINUTE, service=monitor.service)

    ends = queries._ends_of_measuring([first])

    assert ends[first.pk] == now - 55 * MINUTE


def test_incident_says_what_changed_before(backend, now):
    make_deployment(
        now=now - 6 * MINUTE - timedelta(seconds=13),
        service=backend,
        started_at=now - 9 * MINUTE,
        actor="Ana",
        version="1.4",
    )
    incident = make_incident(service=backend, began=now, now=now)

    (one,) = around(incident, now)

    assert plain(one.suspicion) == "Backend 1.4 deployed 6 min before"
    assert one.detail == "Succeeded, by Ana"
    assert Deployment.objects.get().pk == int(one.url.strip("/").split("/")[-1])
    (unlinked,) = around(incident, now, may=lambda permission: False)
    assert (unlinked.url, unlinked.suspicion) == ("", one.suspicion)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"state": "started", "started_at": -3}, "was being deployed when it began"),
        (
            {"state": "succeeded", "started_at": -3, "finished_at": 1},
            "was being deployed when it began",
        ),
        ({"state": "failed", "started_at": -9, "finished_at": -5}, "failed to deploy"),
        (
            {
                "state": "rolled_back",
                "started_at": -90,
                "finished_at": -80,
                "rolled_back_at": -4,
            },
            "rolled back 4 min before",
        ),
        ({"state": "succeeded", "started_at": 2}, ""),
        ({"state": "succeeded", "started_at": -200, "finished_at": -190}, ""),
    ],
)
def test_what_it_was_doing_when_it_began_is_said(backend, now, values, said):
    times = {
        name: now + value * MINUTE if isinstance(value, int) else value
        for name, value in values.items()
    }
    make_deployment(now=now + 5 * MINUTE, service=backend, **times)
    incident = make_incident(service=backend, began=now, now=now)

    (one,) = around(incident, now + 5 * MINUTE)

    assert said in plain(one.suspicion)
    assert bool(one.suspicion) is bool(said)


def test_other_services_are_suspect_for_a_shorter_time_and_staging_never(backend, now):
    frontend = make_service(name="Frontend")
    make_deployment(now=now - 10 * MINUTE, service=frontend)
    make_deployment(now=now - 40 * MINUTE, service=frontend)
    make_deployment(now=now - MINUTE, service=backend, environment="staging")
    incident = make_incident(service=backend, began=now, now=now)

    (one,) = around(incident, now)

    assert plain(one.suspicion) == "Frontend 1f3c2a9 deployed 10 min before"


def test_incident_page_shows_it_above_the_rest(reader, backend):
    now = timezone.now()
    made = make_deployment(now=now - 6 * MINUTE, service=backend)
    incident = make_incident(service=backend, began=now, now=now)

    text = reader.get(reverse("incidents:detail", args=[incident.pk])).content.decode()

    link = reverse("deployments:detail", args=[made.pk])
    assert "deployed 6" in plain(text)
    assert text.index(link) < text.index("<h2>Alerts</h2>")


def test_charts_are_marked_for_whoever_may_see_deployments(reader, client):
    now = timezone.now()
    monitor = make_monitor()
    make_ledger(monitor=monitor, now=now)
    make_results(monitor=monitor, now=now, base_ms=50, reach=3 * HOUR)
    make_deployment(now=now - HOUR, service=monitor.service)
    make_deployment(now=now - HOUR, service=make_service())
    page = reverse("monitors:detail", args=[monitor.pk])

    seen = reader.get(page).content.decode()
    kpi = make_kpi(service=monitor.service)
    beside = marks(
        kpi=kpi, since=now - 2 * HOUR, until=now, may=lambda permission: True
    )
    unseen = marks(
        kpi=kpi,
        since=now - 2 * HOUR,
        until=now,
        may=lambda permission: permission != "telemetry.view_deployment",
    )

    assert seen.count('class="ops-mark ops-mark-deployment"') == 1
    assert [one.kind for one in beside] == ["deployment"]
    assert not unseen


def test_page_of_one_tells_windows_and_incidents(reader, backend):
    now = timezone.now()
    deploy_windows.open_window(
        service=backend, minutes=30, reason="Release 1.4", now=now - 10 * MINUTE
    )
    made = make_deployment(now=now - 5 * MINUTE, service=backend)
    make_incident(service=backend, began=now - 2 * MINUTE, now=now)

    text = reader.get(reverse("deployments:detail", args=[made.pk])).content.decode()

    assert "Release 1.4" in text
    assert "HTTP 503" in text


def test_empty_page_shows_how_to_begin(reader):
    make_service(slug="shop")

    text = reader.get(reverse("deployments:list")).content.decode()

    assert "shop" in text
    assert "/api/v1/deployments/" in text


def test_overview_names_the_last_ones(reader, backend):
    make_monitor(service=backend)
    make_deployment(now=timezone.now() - 5 * MINUTE, service=backend)
    make_deployment(now=timezone.now(), service=backend, environment="staging")

    text = reader.get(reverse("home"), {"live": ""}).content.decode()

    assert "Last deployments" in text
    assert text.count("Backend 1f3c2a9") == 1


def test_checklist_run_says_what_became_of_its_commit(reader):
    now = timezone.now()
    run = make_run(now=now, git_sha=SHA[:10])
    page = reverse("checklists:run", args=[run.pk])
    other = {"service": run.service, "git_sha": "f" * 40}
    make_deployment(now=now, **other)
    before = reader.get(page).content.decode()

    made = make_deployment(now=now, service=run.service, state="failed")
    after = reader.get(page).content.decode()

    link = reverse("deployments:detail", args=[made.pk])
    assert link not in before
    assert link in after
