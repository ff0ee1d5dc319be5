"""Plain functions that make rows for tests. Each takes overrides by keyword."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission, User
from django.utils import timezone

from incidents.models import (
    EscalationPolicy,
    EscalationStep,
    PriorityRule,
    Service,
)
from monitors.models import Monitor
from notifications.models import Address, AddressVerification, Channel, Contact
from t4g_portal.lib.priority import Priority
from t4g_portal.roles import permissions_of

_numbers = itertools.count(1)


def make_user(**values: Any) -> User:
    """A portal user who may sign in; `is_superuser=True` for an admin.

    `role` puts somebody into a role; `may` gives single permissions ("app.codename").
    """
    number = next(_numbers)
    role, may = values.pop("role", None), values.pop("may", ())
    values.setdefault("username", f"person{number}")
    values.setdefault("is_staff", True)
    password = values.pop("password", "a long enough password")
    user = get_user_model()(**values)
    user.set_password(password)
    user.save()
    if role is not None:
        group, _made = Group.objects.get_or_create(name=role.name)
        group.permissions.set(_permissions(permissions_of(role)))
        user.groups.add(group)
    if may:
        user.user_permissions.set(_permissions(may))
    return user


def _permissions(names: Iterable[str]) -> list[Permission]:
    wanted = set(names)
    return [
        row
        for row in Permission.objects.select_related("content_type")
        if f"{row.content_type.app_label}.{row.codename}" in wanted
    ]


def make_contact(**values: Any) -> Contact:
    values.setdefault("name", f"Contact {next(_numbers)}")
    return Contact.objects.create(**values)


def make_address(*, is_verified: bool = True, **values: Any) -> Address:
    """A verified e-mail address of a new contact unless told otherwise."""
    if "contact" not in values:
        values["contact"] = make_contact()
    values.setdefault("kind", "email")
    values.setdefault("value", f"person{next(_numbers)}@example.org")
    address = Address.objects.create(**values)
    if is_verified:
        AddressVerification.objects.create(
            address=address, verified_value=address.value, verified_at=timezone.now()
        )
    return address


def make_channel(**values: Any) -> Channel:
    """An enabled e-mail channel unless told otherwise."""
    number = next(_numbers)
    values.setdefault("name", f"Channel {number}")
    values.setdefault("kind", "email")
    values.setdefault("address", f"ops{number}@example.org")
    values.setdefault("is_enabled", True)
    return Channel.objects.create(**values)


def make_service(**values: Any) -> Service:
    number = next(_numbers)
    values.setdefault("name", f"Service {number}")
    values.setdefault("slug", f"service-{number}")
    return Service.objects.create(**values)


def make_policy(
    *steps: dict[str, Any], name: str = "", **values: Any
) -> EscalationPolicy:
    """A policy; each step is its fields, those with many rows as lists of them."""
    policy = EscalationPolicy.objects.create(
        name=name or f"Policy {next(_numbers)}", **values
    )
    for position, step in enumerate(steps):
        many = {key: step[key] for key in _WHOM if key in step}
        plain = {key: value for key, value in step.items() if key not in many}
        row = policy.steps.create(**{"position": position, **plain})
        for key, rows in many.items():
            getattr(row, key).set(rows)
    return policy


_WHOM = ("channels", "schedules", "contacts", "teams")


def make_priority_rules(*channels: Channel) -> dict[str, PriorityRule]:
    """The guide's four rules, all of which tell the channels given (P3 nobody)."""
    rules = {}
    for priority, response_s, repeat_s in (
        (Priority.P0, 300, 300),
        (Priority.P1, 900, 0),
        (Priority.P2, 3600, 0),
        (Priority.P3, 86_400, 0),
    ):
        step = {
            "repeat_s": repeat_s,
            "has_mention": priority == Priority.P0,
            "channels": channels,
        }
        is_digest = priority == Priority.P3
        rules[str(priority)] = PriorityRule.objects.create(
            priority=priority,
            response_s=response_s,
            is_digest=is_digest,
            policy=None if is_digest else make_policy(step, name=priority.upper()),
        )
    return rules


def only_step(rule: PriorityRule) -> EscalationStep:
    """The first step of what a priority follows."""
    assert rule.policy is not None
    step = rule.policy.steps.first()
    assert step is not None
    return step


def make_monitor(**values: Any) -> Monitor:
    """An HTTP monitor of a loopback target, asked each minute."""
    number = next(_numbers)
    if "service" not in values:
        values["service"] = make_service()
    values.setdefault("name", f"Monitor {number}")
    values.setdefault("kind", "http")
    values.setdefault("target", f"http://127.0.0.1:9/{number}")
    values.setdefault("may_use_private_targets", True)
    return Monitor.objects.create(**values)
