"""The TLS probe: chain, host name and remaining days of a certificate."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from monitors.probes import assertions, certificates, failures
from monitors.probes.base import (
    Outcome,
    Phases,
    ProbeRequest,
    ProbeResult,
    Reason,
    UnableToParse,
)
from monitors.probes.options import option
from monitors.probes.targets import ascii_host, parse_endpoint
from t4g_portal.lib.egress import open_connection, ssl_context

DEFAULT_PORT = 443


def _parse_server_name(text: str) -> str:
    if not text:
        return ""
    try:
        return ascii_host(text)
    except UnableToParse as exc:
        raise ValueError(exc.message) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """Which name the certificate must be for."""

    server_name: str = option(
        "",
        type="text",
        label=_("host name in the certificate"),
        help=_("Where it differs from the target's host."),
        maximum=253,
        parse=_parse_server_name,
    )


class TlsProbe:
    """Shakes hands and judges the certificate; sends nothing else."""

    kind: ClassVar[str] = "tls"
    label: ClassVar[Any] = _("TLS certificate")
    options_type: ClassVar[type[Any]] = TlsOptions
    target_example: ClassVar[str] = "example.org:443"
    subjects: ClassVar[frozenset[str]] = frozenset(("days_left", "latency"))
    is_passive: ClassVar[bool] = False

    def check_target(self, target: str) -> None:
        """Raise UnableToParse unless `target` is host or host:port."""
        parse_endpoint(target, default_port=DEFAULT_PORT)

    async def probe(self, request: ProbeRequest, phases: Phases) -> ProbeResult:
        """Shake hands with verification on; look again without it when that fails."""
        options: TlsOptions = request.options
        endpoint = parse_endpoint(request.target, default_port=DEFAULT_PORT)
        server_name = options.server_name or endpoint.host.rstrip(".")
        try:
            stream = await open_connection(
                host=endpoint.host,
                port=endpoint.port,
                may_use_private=request.may_use_private_targets,
                recorder=phases,
                tls=ssl_context(),
                server_name=server_name,
            )
        except ssl.SSLCertVerificationError as exc:
            certificate = await certificates.fetch_certificate(
                host=endpoint.host,
                port=endpoint.port,
                server_name=server_name,
                may_use_private=request.may_use_private_targets,
                within_s=certificates.second_look_s(request.timeout_s, phases),
            )
            return failures.bad_certificate(exc, phases, certificate=certificate)
        try:
            return _judge(request, phases, stream.ssl_object)
        finally:
            stream.abort()


def _judge(
    request: ProbeRequest, phases: Phases, ssl_object: ssl.SSLObject | None
) -> ProbeResult:
    certificate = certificates.certificate_of(ssl_object)
    if ssl_object is None or certificate is None:
        return failures.failed(
            Reason.TLS, pgettext("stored", "The certificate can't be read"), phases
        )
    days = certificates.days_left(certificate)
    cipher = ssl_object.cipher()
    facts = {
        "tls_version": ssl_object.version() or "",
        "cipher": cipher[0] if cipher else "",
        # Rounded down, as people count the days they still have.
        "days_left": int(days),
    }
    seen = assertions.Seen(days_left=days, latency_ms=phases.total_ms)
    unmet = assertions.judge(request.assertions, seen)
    if unmet is not None:
        return failures.failed(
            Reason.ASSERTION,
            unmet,
            phases,
            failed_assertion=unmet,
            certificate=certificate,
            facts=facts,
        )
    return ProbeResult(
        outcome=Outcome.PASSED,
        reason=int(Reason.OK),
        message=_say_valid(int(days)),
        phases=phases,
        certificate=certificate,
        facts=facts,
    )


def _say_valid(days: int) -> str:
    if days == 1:
        return pgettext("stored", "The certificate is valid for 1 day")
    return pgettext("stored", "The certificate is valid for %(count)d days") % {
        "count": days
    }
