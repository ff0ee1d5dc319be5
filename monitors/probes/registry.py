"""All kinds of probes, and the one way to run them."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import pgettext

from monitors.probes import failures, options
from monitors.probes.base import (
    AssertionSpec,
    Phases,
    Probe,
    ProbeRequest,
    ProbeResult,
    Reason,
    UnableToParse,
)
from monitors.probes.dns import DnsProbe
from monitors.probes.heartbeat import HeartbeatProbe
from monitors.probes.http import HttpProbe
from monitors.probes.icmp import IcmpProbe
from monitors.probes.options import OptionField
from monitors.probes.postgres import PostgresProbe
from monitors.probes.redis import RedisProbe
from monitors.probes.tcp import TcpProbe
from monitors.probes.tls import TlsProbe

logger = logging.getLogger(__name__)

_PROBES: Mapping[str, Probe] = {
    probe.kind: probe
    for probe in (
        HttpProbe(),
        HeartbeatProbe(),
        TlsProbe(),
        TcpProbe(),
        DnsProbe(),
        IcmpProbe(),
        PostgresProbe(),
        RedisProbe(),
    )
}


def get(kind: str) -> Probe:
    """The probe of a kind. Raises UnableToParse for a kind that doesn't exist."""
    try:
        return _PROBES[kind]
    except KeyError:
        raise UnableToParse(
            "kind", pgettext("stored", "There is no such kind")
        ) from None


def kinds() -> tuple[str, ...]:
    """The names of all kinds."""
    return tuple(_PROBES)


def choices() -> list[tuple[str, Any]]:
    """(kind, label) for a form or a model field."""
    return [(kind, probe.label) for kind, probe in _PROBES.items()]


def parse_options(kind: str, raw: Mapping[str, Any]) -> Any:
    """The kind's options dataclass from a JSON object; what is left out has a default.

    Raises UnableToParse naming the option: unknown, of a wrong type or out of range.
    """
    if not isinstance(raw, Mapping):
        raise UnableToParse(
            "options", pgettext("stored", "Give an object with options")
        )
    return options.parse_options(get(kind).options_type, raw)


def describe_options(kind: str) -> tuple[OptionField, ...]:
    """The kind's options as a form asks for them. Raises UnableToParse."""
    return options.describe_options(get(kind).options_type)


def check_subject(kind: str, spec: AssertionSpec) -> None:
    """Raise UnableToParse when this kind never sees what `spec` is about."""
    if spec.subject not in get(kind).subjects:
        raise UnableToParse(
            "subject", pgettext("stored", "This kind of monitor has no such thing")
        )


async def run(request: ProbeRequest) -> ProbeResult:
    """Probe once, within `request.timeout_s` seconds of wall clock.

    Never raises but CancelledError, and that only when cancelled from outside.
    """
    phases = Phases()
    deadline = asyncio.timeout(request.timeout_s)
    try:
        async with deadline:
            result = await get(request.kind).probe(request, phases)
    except Exception as exc:  # noqa: BLE001 the edge of a probe
        if deadline.expired():
            result = failures.timed_out(timeout_s=request.timeout_s, phases=phases)
        elif (expected := failures.from_exception(exc, phases)) is not None:
            result = expected
        else:
            logger.error(
                "probe of monitor %s (%s) failed in our own code: %s",
                request.monitor_id,
                request.kind,
                _without("".join(traceback.format_exception(exc)), request.secret),
            )
            result = failures.not_judged(
                Reason.INTERNAL,
                pgettext(
                    "stored", "The portal itself made a mistake; its log says which"
                ),
                phases,
            )
    if request.secret:
        return _without_secret(result, request.secret)
    return result


def _without_secret(result: ProbeResult, secret: str) -> ProbeResult:
    """A target that echoes what it got must not put the secret on a page."""
    if secret not in result.message + result.excerpt + result.failed_assertion:
        return result
    return replace(
        result,
        message=_without(result.message, secret),
        excerpt=_without(result.excerpt, secret),
        failed_assertion=_without(result.failed_assertion, secret),
    )


def _without(text: str, secret: str) -> str:
    return text.replace(secret, "***") if secret else text
