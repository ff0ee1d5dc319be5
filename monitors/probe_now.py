"""One probe at once, for somebody who waits for the answer.

The engine's own probes on a loop of this thread's: the same egress guard, the same hard
deadline, the same look at our own network before a target is blamed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import uvloop
from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext as _

from monitors import recording
from monitors.connectivity import Connectivity, Control
from monitors.engine import Finding, unless_offline
from monitors.loading import request_for, request_of
from monitors.models import Assertion, ControlTarget, Monitor
from monitors.probes import registry
from monitors.probes.base import ProbeRequest, ProbeResult, UnableToParse
from t4g_portal.lib.retelling import source_language
from t4g_portal.lib.secrets import UnableToDecrypt

# A target is asked this way so often at most, whoever presses the button.
EVERY_S = 5
# A web process answers pages and pings with the threads that are left.
_AT_ONCE = 2

_room = threading.BoundedSemaphore(_AT_ONCE)


class UnableToProbe(Exception):
    """There is no result, and the message says to a person why."""


class AskedTooSoon(UnableToProbe):
    """This monitor was probed a moment ago, or too many others are; see `wait_s`."""

    def __init__(self, message: str, *, wait_s: int) -> None:
        super().__init__(message)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Probed:
    """What one probe saw. `at`: when it began.

    `is_recorded`: whether it counts like any other result; it doesn't for a paused or
    an unsaved monitor.
    """

    at: datetime
    result: ProbeResult
    is_recorded: bool


def probe_now(*, monitor_id: int) -> Probed:
    """Probe a saved monitor once, wait for it, and record it like any result.

    Call it outside a transaction: it takes up to the monitor's timeout, 120 s at most,
    and asks the control targets after a failure that looks like our own network's.
    Raises Monitor.DoesNotExist, AskedTooSoon, and UnableToProbe for a heartbeat, which
    nobody can ask, and for a monitor whose configuration makes no sense.
    """
    # Deferred: a secret that no longer decrypts is met, and named, in `_request_for`.
    monitor = Monitor.objects.defer("secret").get(pk=monitor_id)
    request = _request_for(monitor)
    _take_turn(f"monitor-{monitor_id}")
    finding = _ask(request)
    return Probed(
        at=_moment(finding),
        result=finding.result,
        is_recorded=monitor.is_enabled and _record(finding),
    )


def try_unsaved(
    *, monitor: Monitor, assertions: Iterable[Assertion], asked_by: int
) -> Probed:
    """Probe what a form holds, saved or not, once; nothing is recorded.

    `asked_by`: the person, who may do so every few seconds. Raises as `probe_now`.
    """
    request = _unsaved_request(monitor, assertions)
    _take_turn(f"person-{asked_by}")
    finding = _ask(request)
    return Probed(at=_moment(finding), result=finding.result, is_recorded=False)


def ask_once(
    *, monitor: Monitor, assertions: Iterable[Assertion], wait_s: float
) -> Probed:
    """Probe what nobody saves, for a caller that keeps its own pace; nothing is recorded.

    Waits up to `wait_s` seconds while others are being probed. Raises as `probe_now`.
    """
    finding = _ask(_unsaved_request(monitor, assertions), wait_s=wait_s)
    return Probed(at=_moment(finding), result=finding.result, is_recorded=False)


def _request_for(monitor: Monitor) -> ProbeRequest:
    _refuse_passive(monitor)
    try:
        return request_for(monitor)
    except UnableToParse as error:
        raise UnableToProbe(
            _("It is misconfigured: %(error)s") % {"error": error}
        ) from error
    except UnableToDecrypt as error:
        raise UnableToProbe(_lost_secret()) from error


def _unsaved_request(monitor: Monitor, assertions: Iterable[Assertion]) -> ProbeRequest:
    _refuse_passive(monitor)
    try:
        return request_of(monitor, assertions=assertions)
    except UnableToParse as error:
        raise UnableToProbe(str(error)) from error
    except UnableToDecrypt as error:
        raise UnableToProbe(_lost_secret()) from error


def _refuse_passive(monitor: Monitor) -> None:
    if monitor.kind in registry.kinds() and registry.get(monitor.kind).is_passive:
        raise UnableToProbe(
            _("A heartbeat can't be asked: its job calls us. Run the job instead.")
        )


def _lost_secret() -> str:
    return _("Its secret can't be decrypted. Enter it again.")


def _take_turn(who: str) -> None:
    # A courtesy to the target, so a cache that forgets is good enough.
    if not cache.add(f"probe-now:{who}", True, timeout=EVERY_S):
        raise AskedTooSoon(
            _("It was probed a moment ago. Try again in %(count)d s.")
            % {"count": EVERY_S},
            wait_s=EVERY_S,
        )


def _ask(request: ProbeRequest, *, wait_s: float = 0) -> Finding:
    controls = tuple(
        Control(host=target.host, port=target.port)
        for target in ControlTarget.objects.filter(is_enabled=True)
    )
    if not _room.acquire(timeout=wait_s):
        raise AskedTooSoon(
            _("Others are being probed right now. Try again in a moment."),
            wait_s=EVERY_S,
        )
    try:
        # What it says is stored, so it speaks as the engine does.
        with source_language():
            return uvloop.run(_finding_of(request, controls))
    finally:
        _room.release()


async def _finding_of(request: ProbeRequest, controls: tuple[Control, ...]) -> Finding:
    connectivity = Connectivity()
    connectivity.set_controls(controls)
    at = time.time()
    result = await registry.run(request)
    return Finding(
        monitor_id=request.monitor_id,
        at=at,
        result=await unless_offline(result, connectivity=connectivity),
    )


def _record(finding: Finding) -> bool:
    recorded = recording.record(findings=[finding], now=timezone.now())
    return recorded.steady_count + recorded.changed_count > 0


def _moment(finding: Finding) -> datetime:
    return datetime.fromtimestamp(finding.at, tz=UTC)
