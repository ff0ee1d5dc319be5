"""The ping probe: echo requests, round trips, losses."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import icmplib
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from monitors.probes import assertions, failures
from monitors.probes.base import (
    Outcome,
    Phases,
    ProbeRequest,
    ProbeResult,
    Reason,
    UnableToParse,
)
from monitors.probes.options import option
from monitors.probes.targets import ascii_host, check_length
from t4g_portal.lib.egress import Stage, resolve

_PAUSE_S = 0.1
# The share of the time-out for all pings, so that losses are counted, not cut off.
_PATIENCE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class IcmpOptions:
    """How many pings, and how many may be lost."""

    count: int = option(3, type="integer", label=_("pings"), minimum=1, maximum=10)
    max_loss_percent: int = option(
        50,
        type="integer",
        label=_("losses at most (%)"),
        help=_("More lost pings than this are a failure."),
        minimum=0,
        maximum=99,
    )


class IcmpProbe:
    """Pings a host. The mean round trip is recorded as the first byte's time."""

    kind: ClassVar[str] = "icmp"
    label: ClassVar[Any] = _("Ping (ICMP)")
    options_type: ClassVar[type[Any]] = IcmpOptions
    target_example: ClassVar[str] = "router.example.org"
    subjects: ClassVar[frozenset[str]] = frozenset(("latency",))
    is_passive: ClassVar[bool] = False

    def check_target(self, target: str) -> None:
        """Raise UnableToParse unless `target` is a host without a port."""
        check_length(target)
        if any(character in target for character in "/@[] "):
            raise UnableToParse("target", pgettext("stored", "This is not a host name"))
        ascii_host(target)

    async def probe(self, request: ProbeRequest, phases: Phases) -> ProbeResult:
        """Ping the first checked address; needs one of two kinds of sockets."""
        started = time.perf_counter()
        addresses = await resolve(
            host=ascii_host(request.target),
            may_use_private=request.may_use_private_targets,
            recorder=phases,
        )
        phases.stage = Stage.FIRST_BYTE
        spent_s = time.perf_counter() - started
        patience_s = request.timeout_s * _PATIENCE - spent_s
        try:
            host = await _ping(addresses[0], request.options.count, patience_s)
        except icmplib.SocketPermissionError:
            return failures.not_judged(
                Reason.NO_RESOURCES,
                pgettext(
                    "stored",
                    "This machine may not ping: widen the sysctl"
                    " net.ipv4.ping_group_range or grant CAP_NET_RAW",
                ),
                phases,
            )
        except icmplib.ICMPSocketError as exc:
            if failures.names_shortage(str(exc)):
                return failures.out_of_resources(phases)
            return failures.failed(
                Reason.UNREACHABLE,
                pgettext("stored", "No way leads to the target"),
                phases,
            )
        return _judge(request, phases, host)


async def _ping(address: str, count: int, patience_s: float) -> icmplib.Host:
    timeout_s = max((patience_s - (count - 1) * _PAUSE_S) / count, 0.01)
    try:
        return await icmplib.async_ping(
            address, count, _PAUSE_S, timeout_s, privileged=False
        )
    except icmplib.SocketPermissionError:
        return await icmplib.async_ping(
            address, count, _PAUSE_S, timeout_s, privileged=True
        )


def _judge(request: ProbeRequest, phases: Phases, host: icmplib.Host) -> ProbeResult:
    loss_percent = round(host.packet_loss * 100)
    facts = {
        "loss_percent": loss_percent,
        "min_ms": host.min_rtt,
        "max_ms": host.max_rtt,
    }
    if not host.packets_received:
        return failures.failed(
            Reason.TIMEOUT,
            pgettext("stored", "No reply to %(count)d pings")
            % {"count": request.options.count},
            phases,
            facts=facts,
        )
    phases.first_byte_ms = max(float(host.avg_rtt), 0.0)
    if loss_percent > request.options.max_loss_percent:
        return failures.failed(
            Reason.UNEXPECTED_ANSWER,
            pgettext("stored", "%(percent)d %% of the pings were lost")
            % {"percent": loss_percent},
            phases,
            facts=facts,
        )
    unmet = assertions.judge(
        request.assertions, assertions.Seen(latency_ms=phases.total_ms)
    )
    if unmet is not None:
        return failures.failed(
            Reason.ASSERTION, unmet, phases, failed_assertion=unmet, facts=facts
        )
    return ProbeResult(
        outcome=Outcome.PASSED,
        reason=int(Reason.OK),
        message=pgettext("stored", "Reply in %(ms).1f ms")
        % {"ms": phases.first_byte_ms},
        phases=phases,
        facts=facts,
    )
