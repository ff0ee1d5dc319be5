"""From a monitor's rows to a parsed probe request, kept until the row changes."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from monitors.models import Assertion, Monitor, MonitorState
from monitors.probes import registry
from monitors.probes.assertions import check
from monitors.probes.base import AssertionSpec, ProbeRequest, UnableToParse
from monitors.scheduling import Claim
from t4g_portal.lib.secrets import UnableToDecrypt

logger = logging.getLogger(__name__)


def request_for(monitor: Monitor) -> ProbeRequest:
    """Return the parsed request of a monitor; raises UnableToParse naming a field.

    Reads `monitor.assertions`: prefetch them for more than one monitor.
    """
    rows = sorted(monitor.assertions.all(), key=lambda row: row.position)
    return request_of(monitor, assertions=rows)


def request_of(monitor: Monitor, *, assertions: Iterable[Assertion]) -> ProbeRequest:
    """Return the parsed request of a monitor with these assertions, saved or not."""
    registry.get(monitor.kind).check_target(monitor.target)
    specs = tuple(
        AssertionSpec(
            subject=row.subject,
            operator=row.operator,
            argument=row.argument,
            expected=row.expected,
        )
        for row in assertions
    )
    for spec in specs:
        check(spec)
    return ProbeRequest(
        monitor_id=monitor.pk or 0,
        kind=monitor.kind,
        target=monitor.target,
        options=registry.parse_options(monitor.kind, monitor.options),
        timeout_s=monitor.timeout_s,
        secret=monitor.secret,
        assertions=specs,
        may_use_private_targets=monitor.may_use_private_targets,
    )


class RequestCache:
    """Parsed requests by monitor; a claim's revision says whether one is still good."""

    def __init__(self) -> None:
        self._parsed: dict[int, tuple[int, ProbeRequest | None]] = {}

    def requests_for(self, claims: Iterable[Claim]) -> list[tuple[Claim, ProbeRequest]]:
        """Return the claims that can be probed with their requests.

        A monitor that can't be parsed is noted as misconfigured and left out; it stops
        nobody else.
        """
        claims = list(claims)
        stale = {
            claim.monitor_id: claim.revision
            for claim in claims
            if self._parsed.get(claim.monitor_id, (None,))[0] != claim.revision
        }
        if stale:
            self._load(stale)
        found = []
        for claim in claims:
            _, request = self._parsed.get(claim.monitor_id, (0, None))
            if request is not None:
                found.append((claim, request))
        return found

    def _load(self, revisions: dict[int, int]) -> None:
        # One secret that no longer decrypts must not take the others with it, and
        # decryption happens while rows are read.
        rows = Monitor.objects.filter(pk__in=revisions).defer("secret")
        for monitor in rows.prefetch_related("assertions"):
            request: ProbeRequest | None = None
            error = ""
            try:
                request = request_for(monitor)
            except UnableToParse as problem:
                error = str(problem)
            except UnableToDecrypt:
                error = "secret: it can't be decrypted; set it anew."
            except Exception:
                logger.exception("monitor %s can't be loaded", monitor.pk)
                error = "its configuration can't be read"
            self._parsed[monitor.pk] = (revisions[monitor.pk], request)
            MonitorState.objects.filter(pk=monitor.pk).exclude(
                configuration_error=error
            ).update(configuration_error=error)
