"""All verifiers by name, and the one way to ask them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from checklists.verifiers import (
    backup_restored,
    channel_receipt,
    digest_delivered,
    drill_passed,
    endpoint_answers,
    kpi_fast,
    kpi_fresh,
    log_received,
    monitor_exists,
    monitor_up,
    parameters,
    platform_event,
    saying,
    schedule_covered,
    series_watched,
    web_vitals,
)
from checklists.verifiers.base import Finding, Subject, Verdict, Verifier
from t4g_portal.lib.retelling import source_language

logger = logging.getLogger(__name__)

_VERIFIERS: Mapping[str, Verifier] = {
    module.VERIFIER.name: module.VERIFIER
    for module in (
        monitor_up,
        monitor_exists,
        endpoint_answers,
        channel_receipt,
        drill_passed,
        schedule_covered,
        series_watched,
        kpi_fresh,
        kpi_fast,
        digest_delivered,
        backup_restored,
        platform_event,
        log_received,
        web_vitals,
    )
}


def get(name: str) -> Verifier | None:
    """Return a verifier; None where a template names one that is gone."""
    return _VERIFIERS.get(name)


def choices() -> list[tuple[str, Any]]:
    """(name, label) for a form or a model field."""
    return [(name, one.label) for name, one in _VERIFIERS.items()]


def problems(name: str, raw: object) -> dict[str, str]:
    """Return what is wrong with the parameters of a verifier, by parameter.

    The key is empty for what is wrong with all of it. Whether what they name exists is
    for the verifier to find out: it may come or go after the template was written.
    """
    verifier = get(name)
    if verifier is None:
        return {"": str(saying.COMMON["unknown_verifier"] % {"name": name})}
    return parameters.problems(verifier.parameters, raw)


def look(name: str, subject: Subject, raw: object, *, now: datetime) -> Finding:
    """Ask a verifier; never raises. Call it outside any transaction: some ask a host.

    A verifier that fails in our own code has found out nothing, which is no "passed".
    """
    verifier = get(name)
    if verifier is None:
        values = {"name": name}
        return Finding(Verdict.UNKNOWN, "unknown_verifier", {"name": name}, values)
    # What a finding quotes is stored, so it is said in the language of what is stored.
    with source_language():
        try:
            wanted = parameters.parse(verifier.parameters, raw)
        except parameters.UnableToParse as problem:
            values = {"message": str(problem)}
            return Finding(Verdict.FAILED, "misconfigured", {"verifier": name}, values)
        try:
            return verifier.look(subject, wanted, now)
        except Exception:
            logger.exception("verifier %s failed for run %s", name, subject.run_id)
            return Finding(Verdict.UNKNOWN, "internal", {"verifier": name})


def words(name: str, code: str, values: Mapping[str, Any]) -> str:
    """Say what a verifier found, in the active language and zone."""
    verifier = get(name)
    return saying.say(verifier.phrases if verifier else {}, code, values)


def label(name: str) -> str:
    """Return what a verifier is called; its name when it is gone."""
    verifier = get(name)
    return str(verifier.label) if verifier else name
