"""The whole API against its own description, by schemathesis: no 5xx, nothing undocumented.

The suite keeps it short; `API_EXAMPLES=200` looks further.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import SkipTest

import hypothesis
import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given
from hypothesis.errors import Unsatisfiable
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks

from checklists import gate
from checklists.actors import engine
from checklists.services import evidence
from incidents import intake
from monitors.api import monitors as monitor_resource
from monitors.models import Monitor
from monitors.probe_now import Probed, UnableToProbe
from monitors.probes.base import Outcome, Phases, ProbeResult
from monitors.series import NewSample, record_samples
from tests.api.asking import make_key
from tests.checklists.making import make_run
from tests.factories import (
    make_channel,
    make_contact,
    make_monitor,
    make_priority_rules,
    make_service,
)
from tests.history import make_ledger, make_results
from tests.incidents.oncall.making import make_override, make_schedule
from tests.kpis.making import make_kpi, make_point, make_source
from tests.telemetry.making import make_deployment

EXAMPLES = int(os.environ.get("API_EXAMPLES", "4"))
STEPS = 6
# Whether a valid value is accepted is left out: names are unique, numbers name rows.
CHECKS = (
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.negative_data_rejection,
    openapi_checks.unsupported_method,
    openapi_checks.use_after_free,
    openapi_checks.ensure_resource_availability,
    openapi_checks.ignored_auth,
)
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


def _probe(*, monitor_id: int) -> Probed:
    """In place of a probe: the targets are schemathesis's, and the hosts are not ours."""
    if Monitor.objects.get(pk=monitor_id).is_heartbeat:
        raise UnableToProbe("A heartbeat can't be asked.")
    result = ProbeResult(
        outcome=Outcome.PASSED, reason=0, message="", phases=Phases(connect_ms=1.0)
    )
    return Probed(at=timezone.now(), result=result, is_recorded=True)


@pytest.fixture
def described(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Any, dict[str, str]]]:
    """A portal with something of everything, its description, and a key."""
    settings.API_REQUESTS_PER_MINUTE = settings.API_REFUSALS_PER_MINUTE = 10**9
    monkeypatch.setattr(monitor_resource, "probe_now", _probe)
    now = timezone.now()
    make_priority_rules(make_channel())
    contact = make_contact()
    contact.addresses.create(kind="email", value="ana@example.org")
    make_override(make_schedule(contact), contact, now, 1)
    service, monitor = make_service(), make_monitor()
    make_ledger(monitor=monitor, now=now)
    make_results(monitor=monitor, now=now, base_ms=50, reach=timedelta(hours=1))
    intake.trigger(
        dedup_key="monitor:1",
        service=service,
        title="HTTP 503",
        priority="p0",
        now=now,
        started_at=now,
    )
    record_samples(
        samples=[NewSample(name="cpu", value=1.0, at=now, source="test")], now=now
    )
    run = make_run(now=now, service=service)
    evidence.attach_note(
        run_id=run.pk,
        item_id=run.items.get().pk,
        text="Looked at",
        actor=engine(),
        now=now,
    )
    gate.decide(
        service_slug=service.slug,
        environment="production",
        sha=run.git_sha,
        caller=engine(),
        now=now,
    )
    make_deployment(now=now, service=service)
    # Of the kinds that ask nobody else.
    make_point(make_kpi(), now - timedelta(days=1), 5)
    make_kpi(source=make_source(kind="portal"), measure="incident_count", grain="week")
    headers = {
        "Authorization": f"Bearer {make_key()[1].text}",
        # The WSGI client unpacks nothing.
        "Accept-Encoding": "identity",
    }
    # The test's transaction outlives each request, as Django's own client has it.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    schema = schemathesis.openapi.from_wsgi(
        "/api/v1/schema/", WSGIHandler(), headers=headers
    )
    yield schema, headers
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_act_answers_as_described(
    described: tuple[Any, dict[str, str]], mode: GenerationMode
):
    schema, headers = described
    failures, checked = [], 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @SETTINGS
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            case.call_and_validate(headers=headers, checks=CHECKS)

        try:
            check()
            checked += 1
        except (Unsatisfiable, SkipTest):
            # Nothing about this act can be wrong.
            continue
        except (Exception, BaseExceptionGroup) as error:
            failures.append(f"{operation.label}: {error}")
    assert not failures, "\n\n".join(failures)
    assert checked > 30


def test_acts_that_follow_each_other_answer_as_described(
    described: tuple[Any, dict[str, str]],
):
    schema, headers = described
    machine = schema.as_state_machine()

    class Workflow(machine):  # type: ignore[misc, valid-type]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": headers}

        def validate_response(self, response: Any, case: Any, **kwargs: Any) -> None:
            case.validate_response(
                response,
                checks=CHECKS,
                headers=headers,
                recorder=self.recorder,
            )

    run_state_machine_as_test(
        Workflow, settings=hypothesis.settings(SETTINGS, stateful_step_count=STEPS)
    )
