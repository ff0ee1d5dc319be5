"""The refusals as Django's system checks: `manage.py check` lists them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks


@checks.register(checks.Tags.security)
def refuse_unsafe_deployment(**_: Any) -> list[checks.CheckMessage]:
    """Return what keeps production from starting."""
    return [
        checks.Error(refusal.sentence, id=f"t4g.{refusal.code}")
        for refusal in settings.REFUSALS
    ]


@checks.register(checks.Tags.security, deploy=True)
def warn_of_weak_choices(**_: Any) -> list[checks.CheckMessage]:
    """Return what production starts with, but an operator should know."""
    found: list[checks.CheckMessage] = []
    if not settings.IS_PRODUCTION:
        found.append(
            checks.Warning(
                "PORTAL_ENV isn't production: keys are made up and cookies travel in "
                "the clear. Set PORTAL_ENV=production where others can reach it.",
                id="t4g.W001",
            )
        )
    if settings.LOG_LEVEL == "DEBUG":
        found.append(
            checks.Warning(
                "LOG_LEVEL is DEBUG: libraries then log what they send, secrets "
                "included. Use INFO.",
                id="t4g.W002",
            )
        )
    return found
