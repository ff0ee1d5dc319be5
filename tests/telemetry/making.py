"""Deployments, told through the one door."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

from telemetry.models import Deployment
from telemetry.services import record_deployment
from tests.factories import make_service

SHA = "1f3c2a9d4e5f60718293a4b5c6d7e8f901234567"
_numbers = itertools.count(1)


def make_deployment(*, now: datetime, **values: Any) -> Deployment:
    """One that has just succeeded in production, unless told otherwise."""
    if "service" not in values:
        values["service"] = make_service()
    values.setdefault("environment", "production")
    values.setdefault("git_sha", SHA)
    values.setdefault("state", "succeeded")
    if "started_at" not in values:
        values.setdefault("external_id", f"made-{next(_numbers)}")
    return record_deployment(now=now, **values).deployment
