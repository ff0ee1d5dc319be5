"""What a verifier finds out about the deployments that a platform told of."""

from __future__ import annotations

from datetime import timedelta

import pytest

from checklists.verifiers.base import Verdict
from tests.checklists.asking import ask, told
from tests.factories import make_service
from tests.telemetry.making import make_deployment

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
BOTH = ["deployment.succeeded", "deployment.error"]


def look(now, **parameters):
    return ask("platform_event", now=now, platform="vercel", **parameters)


def test_deployment_that_the_platform_told_of_passes(now):
    frontend = make_service(name="Frontend")
    make_deployment(now=now - DAY, service=frontend, source="vercel", version="1.4")
    make_deployment(now=now, source="railway")

    found = look(now, events=BOTH)

    assert found.verdict is Verdict.PASSED
    assert "vercel told of Frontend 1.4, succeeded" in told("platform_event", found)
    assert look(now).verdict is Verdict.PASSED


def test_other_events_and_other_platforms_are_not_connected(now):
    make_deployment(now=now, source="vercel")

    assert look(now, events=["domain.created"]).verdict is Verdict.NOT_CONNECTED
    other = ask("platform_event", now=now, platform="railway", events=BOTH)
    assert other.verdict is Verdict.NOT_CONNECTED


def test_word_that_is_old_or_of_another_kind_fails(now):
    make_deployment(now=now - 31 * DAY, source="vercel", state="failed")
    make_deployment(now=now, source="vercel")

    found = look(now, events=["deployment.failed"], max_age_days=30)

    assert found.verdict is Verdict.FAILED
    assert told("platform_event", found) == (
        "vercel told of none of these in the last 30 days: deployment.failed."
    )
    assert look(now, events=["deployment.failed"], max_age_days=32).verdict is (
        Verdict.PASSED
    )


def test_one_under_way_says_nothing_yet(now):
    make_deployment(now=now, source="vercel", state="started")

    assert look(now, events=BOTH).verdict is Verdict.NOT_CONNECTED
