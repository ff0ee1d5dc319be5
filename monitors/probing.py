"""One engine a process: what the tick claims it probes, what it finds is recorded."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from monitors import recording, scheduling, watching
from monitors.connectivity import Control
from monitors.engine import Engine, EngineLoad, Finding, Job
from monitors.history import partitions
from monitors.loading import RequestCache
from monitors.models import ControlTarget
from t4g_portal.lib.loops import refresh_connection

logger = logging.getLogger(__name__)

# Ticks come every second; claiming two ahead forgives one that is late.
HORIZON_S = 2.0
# More than this claimed and not finished, and the tick claims no more.
_MAX_OPEN = 4_000
_STOP_S = 5.0
# Seconds without a stored result, though there was one, that a restart explains.
_UNABLE_AFTER_S = 5.0


class UnableToRecord(Exception):
    """Results wait in memory because the database does not take them."""


class Prober:
    """The engine of this process with its caches."""

    def __init__(self) -> None:
        self._cache = RequestCache()
        self._fingerprints: dict[int, str] = {}
        self.engine = Engine(
            record=self._record,
            concurrency=settings.PROBE_CONCURRENCY,
            host_concurrency=settings.PROBE_HOST_CONCURRENCY,
        )
        # Before the first probe: without them our own network is trusted blindly.
        self._load_controls()
        self.engine.start()

    def tick(self, *, now: datetime) -> int:
        """Claim what is due soon and hand it to the engine; return how much it was.

        Raises UnableToRecord, with the probes started all the same, so that the loop
        counts as late: a full disk lets it claim but not record.
        """
        load = self.engine.load()
        room = _MAX_OPEN - load.waiting_count - load.running_count
        if room <= 0 or load.unrecorded_count > _MAX_OPEN:
            logger.warning("probing falls behind: %s", replace(load, lateness_s=()))
            _complain(load)
            return 0
        claims = scheduling.claim_due(now=now, horizon_s=HORIZON_S, limit=room)
        jobs = [
            Job(request=request, slot=claim.slot)
            for claim, request in self._cache.requests_for(claims)
        ]
        self.engine.submit(jobs)
        _complain(load)
        return len(jobs)

    def watch_network(self, *, now: datetime) -> None:
        """Ask the control targets now and then, and keep what they said."""
        self._load_controls()
        self.engine.ask_connectivity()
        watching.note_connectivity(
            location=settings.PROBE_LOCATION,
            blind_since=self.engine.connectivity.blind_since,
            now=now,
        )

    def _load_controls(self) -> None:
        self.engine.connectivity.set_controls(
            tuple(
                Control(host=target.host, port=target.port)
                for target in ControlTarget.objects.filter(is_enabled=True)
            )
        )

    def _record(self, findings: list[Finding]) -> None:
        refresh_connection()
        recording.record(
            findings=[self._without_known_certificate(one) for one in findings],
            now=timezone.now(),
        )
        for finding in findings:
            if finding.result.certificate is not None:
                self._fingerprints[finding.monitor_id] = (
                    finding.result.certificate.fingerprint_sha256
                )

    def _without_known_certificate(self, finding: Finding) -> Finding:
        """Drop a certificate that is recorded already: the short way is open then."""
        certificate = finding.result.certificate
        known = self._fingerprints.get(finding.monitor_id)
        if certificate is None or certificate.fingerprint_sha256 != known:
            return finding
        return replace(finding, result=replace(finding.result, certificate=None))


def _complain(load: EngineLoad) -> None:
    if load.unable_to_record_s > _UNABLE_AFTER_S:
        raise UnableToRecord(
            f"No result could be stored for {load.unable_to_record_s:.0f} s. The log"
            " of this worker says why; is the database's disk full?"
        )


_prober: Prober | None = None
_prober_pid = 0
_guard = threading.Lock()


def prober() -> Prober:
    """Return this process's prober, starting it at the first call and after a fork."""
    global _prober, _prober_pid
    with _guard:
        if _prober is None or _prober_pid != os.getpid():
            partitions.ensure(now=timezone.now())
            _prober, _prober_pid = Prober(), os.getpid()
            atexit.register(stop)
        return _prober


def stop() -> None:
    """Stop this process's engine, if it has one, recording what it has found."""
    global _prober
    with _guard:
        if _prober is not None and _prober_pid == os.getpid():
            _prober.engine.stop(timeout_s=_STOP_S)
        _prober = None
