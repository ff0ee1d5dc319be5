"""Asks verifiers as the engine does, and reads their answers as people do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from checklists.verifiers import registry
from checklists.verifiers.base import Finding, Subject
from incidents.models import Service
from tests.factories import make_service

SHA = "0123abc"


def subject_of(service: Service | None = None, *, now: datetime) -> Subject:
    """A release of a service to production."""
    service = service or make_service()
    return Subject(
        run_id=1,
        service_id=service.pk,
        service_slug=service.slug,
        environment="production",
        git_sha=SHA,
        deployment="",
        opened_at=now,
    )


def ask(
    name: str, *, now: datetime, service: Service | None = None, **parameters: Any
) -> Finding:
    """Ask a verifier; its answer must be sayable and fit to be kept."""
    found = registry.look(name, subject_of(service, now=now), parameters, now=now)
    assert_fit_to_keep(found)
    said = registry.words(name, found.code, found.values)
    assert said != found.code, f"{name} has no words for {found.code}"
    assert "%(" not in said
    return found


def told(name: str, found: Finding) -> str:
    """What people read of a finding."""
    return registry.words(name, found.code, found.values).replace("\u00a0", " ")


def assert_fit_to_keep(found: Finding) -> None:
    for part in (found.looked_at, found.values, found.observed):
        _assert_plain(part)
    _assert_no_moment(found.looked_at)


def _assert_plain(value: Any) -> None:
    if isinstance(value, dict):
        for name, one in value.items():
            assert isinstance(name, str)
            _assert_plain(one)
    elif isinstance(value, list):
        for one in value:
            _assert_plain(one)
    else:
        assert value is None or isinstance(value, str | int | bool), value


def _assert_no_moment(value: Any) -> None:
    """What was looked at stays the same from one look to the next."""
    if isinstance(value, dict):
        assert not [name for name in value if name.endswith("_at")]
        for one in value.values():
            _assert_no_moment(one)
    elif isinstance(value, list):
        for one in value:
            _assert_no_moment(one)
