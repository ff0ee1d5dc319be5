"""Services, teams, policies and the priority matrix."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext_lazy

from incidents import policy_rules
from incidents.expectations.rules import expectation_faults
from incidents.models import (
    EscalationPolicy,
    EscalationStep,
    PriorityRule,
    ReachExpectation,
    Schedule,
    Service,
    ServicePolicy,
    Team,
)
from notifications.models import Channel, Contact
from notifications.validation import validate_time_zone
from t4g_portal.configuration.tables import (
    Candidate,
    Fault,
    Part,
    Section,
    columns,
)


def _check_service(candidate: Candidate) -> Iterator[Fault]:
    found = validate_time_zone(time_zone=candidate.values["time_zone"])
    for column, message in found.items():
        yield Fault(column, message)


def _check_policy(candidate: Candidate) -> Iterator[Fault]:
    for fault in policy_rules.policy_faults(candidate.values):
        yield Fault(fault.field, fault.message)
    steps = candidate.parts["steps"]
    if problem := policy_rules.steps_fault(len(steps)):
        yield Fault("name", problem)
    for index, step in enumerate(steps):
        for fault in policy_rules.step_faults(step):
            yield Fault(fault.field, fault.message, part="steps", index=index)


def _check_expectation(candidate: Candidate) -> Iterator[Fault]:
    for fault in expectation_faults(candidate.values):
        yield Fault(fault.field, fault.message)


SERVICES = Section(
    name="services",
    model=Service,
    key=("slug",),
    columns=columns(
        Service,
        "slug name description runbook_url vendor_url time_zone is_public position",
    ),
    left_out=frozenset(),
    check=_check_service,
)

TEAMS = Section(
    name="teams",
    model=Team,
    key=("name",),
    columns=columns(Team, "name members", references={Contact: "name"}),
    left_out=frozenset(),
)

ESCALATION_POLICIES = Section(
    name="escalation_policies",
    model=EscalationPolicy,
    key=("name",),
    columns=columns(EscalationPolicy, "name description ack_expires_s"),
    left_out=frozenset(),
    parts=(
        Part(
            name="steps",
            model=EscalationStep,
            parent="policy",
            position="position",
            key=(),
            columns=columns(
                EscalationStep,
                "after_s channels schedules contacts teams has_mention repeat_s repeat_limit "
                "only_weekdays only_from only_until time_zone",
                references={
                    Channel: "name",
                    Schedule: "slug",
                    Contact: "name",
                    Team: "name",
                },
            ),
            left_out=frozenset(),
        ),
    ),
    check=_check_policy,
)

_MOVED = gettext_lazy(
    "It has moved: write it into a step of a row of escalation_policies, and name that "
    "row here as “policy”."
)

PRIORITY_RULES = Section(
    name="priority_rules",
    model=PriorityRule,
    key=("priority",),
    columns=columns(
        PriorityRule,
        "priority description policy response_s is_digest",
        references={EscalationPolicy: "name"},
    ),
    left_out=frozenset(),
    moved=dict.fromkeys(("channels", "repeat_s", "has_mention"), _MOVED),
)

SERVICE_POLICIES = Section(
    name="service_policies",
    model=ServicePolicy,
    key=("service", "priority"),
    columns=columns(
        ServicePolicy,
        "service priority policy",
        references={Service: "slug", EscalationPolicy: "name"},
    ),
    left_out=frozenset(),
)

EXPECTATIONS = Section(
    name="expectations",
    model=ReachExpectation,
    key=("name",),
    columns=columns(
        ReachExpectation,
        "name service policy priority occasion at weekday clock time_zone contact"
        " schedule team channel method within_s is_enabled",
        references={
            Service: "slug",
            EscalationPolicy: "name",
            Contact: "name",
            Schedule: "slug",
            Team: "name",
            Channel: "name",
        },
    ),
    left_out=frozenset(),
    check=_check_expectation,
)
