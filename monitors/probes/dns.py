"""The DNS probe: does a name server answer, and with what it should?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
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
from monitors.probes.targets import Endpoint, check_length, parse_endpoint
from monitors.probes.texts import one_line
from t4g_portal.lib.egress import Stage, Timings, resolve

RECORD_TYPES = (
    "A",
    "AAAA",
    "CAA",
    "CNAME",
    "MX",
    "NS",
    "PTR",
    "SOA",
    "SRV",
    "TXT",
)
# Types whose answers are names: written with or without the last dot, in any case.
_NAME_TYPES = frozenset(("CNAME", "MX", "NS", "PTR", "SRV", "SOA"))
_MAX_ANSWERS = 100


def _parse_resolver(text: str) -> Endpoint | None:
    if not text:
        return None
    try:
        return parse_endpoint(text, default_port=53)
    except UnableToParse as exc:
        raise ValueError(exc.message) from exc


def _parse_expected(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsOptions:
    """What to ask whom, and what the answer must hold."""

    record_type: str = option(
        "A",
        type="choice",
        label=_("record type"),
        choices=tuple((name, name) for name in RECORD_TYPES),
    )
    resolver: Endpoint | None = option(  # noqa: RUF009 - makes a field()
        "",
        type="text",
        label=_("name server"),
        help=_("Host or host:port. Empty: this machine's own."),
        maximum=260,
        parse=_parse_resolver,
        is_place=True,
    )
    expected: tuple[str, ...] = option(
        "",
        type="lines",
        label=_("expected answers"),
        help=_("One a line, such as 192.0.2.1 or 10 mail.example.org. Empty: any."),
        maximum=4000,
        parse=_parse_expected,
    )
    is_exact: bool = option(
        False, type="switch", label=_("no other answers than the expected ones")
    )


class DnsProbe:
    """Asks one question and compares the answers. All of its time is DNS time."""

    kind: ClassVar[str] = "dns"
    label: ClassVar[Any] = _("DNS record")
    options_type: ClassVar[type[Any]] = DnsOptions
    target_example: ClassVar[str] = "example.org"
    subjects: ClassVar[frozenset[str]] = frozenset(("answer", "latency"))
    is_passive: ClassVar[bool] = False

    def check_target(self, target: str) -> None:
        """Raise UnableToParse unless `target` is a domain name."""
        _parse_name(target)

    async def probe(self, request: ProbeRequest, phases: Phases) -> ProbeResult:
        """Ask the configured name server, or those of this machine."""
        options: DnsOptions = request.options
        name = _parse_name(request.target)
        phases.stage = Stage.LOOKUP
        started = time.perf_counter()
        try:
            resolver = await _resolver(request, options)
            started = time.perf_counter()
            found = await resolver.resolve(
                name,
                options.record_type,
                search=False,
                lifetime=request.timeout_s,
                backend=dns.asyncbackend.get_backend("asyncio"),
            )
        except dns.exception.Timeout:
            return failures.timed_out(timeout_s=request.timeout_s, phases=phases)
        except dns.resolver.NoResolverConfiguration:
            return failures.not_judged(
                Reason.NO_RESOURCES,
                pgettext("stored", "This machine knows no name server"),
                phases,
            )
        except dns.exception.DNSException as exc:
            if failures.names_shortage(str(exc)):
                return failures.out_of_resources(phases)
            phases.dns_ms = (time.perf_counter() - started) * 1000
            return failures.failed(
                Reason.DNS, _failure_text(exc, options.record_type), phases
            )
        phases.dns_ms = (time.perf_counter() - started) * 1000
        return _judge(request, phases, _answers(found))


def _parse_name(target: str) -> dns.name.Name:
    check_length(target)
    try:
        name = dns.name.from_text(target, idna_codec=dns.name.IDNA_2008_Practical)
    except (dns.exception.DNSException, UnicodeError, ValueError) as exc:
        raise UnableToParse(
            "target", pgettext("stored", "This is not a domain name")
        ) from exc
    if any(character in target for character in "/:@ \\"):
        raise UnableToParse("target", pgettext("stored", "This is not a domain name"))
    return name


async def _resolver(
    request: ProbeRequest, options: DnsOptions
) -> dns.asyncresolver.Resolver:
    if options.resolver is None:
        # Named by the machine's administrator, so it may be on a private network.
        resolver = dns.asyncresolver.Resolver()
    else:
        resolver = dns.asyncresolver.Resolver(configure=False)
        # Its name is looked up on the side: that isn't what is measured.
        addresses = await resolve(
            host=options.resolver.host,
            may_use_private=request.may_use_private_targets,
            recorder=Timings(),
        )
        resolver.nameservers = list(addresses)
        resolver.port = options.resolver.port
    resolver.cache = None
    return resolver


def _failure_text(exc: dns.exception.DNSException, record_type: str) -> str:
    match exc:
        case dns.resolver.NXDOMAIN():
            return pgettext("stored", "The name does not exist")
        case dns.resolver.NoAnswer():
            return pgettext("stored", "The name has no %(type)s record") % {
                "type": record_type
            }
        case dns.resolver.NoNameservers():
            return pgettext("stored", "The name servers failed: %(why)s") % {
                "why": _rcodes(exc) or pgettext("stored", "no usable answer")
            }
    return pgettext("stored", "The answer makes no sense: %(why)s") % {
        "why": one_line(str(exc))
    }


def _rcodes(exc: dns.resolver.NoNameservers) -> str:
    """What each server said, without naming the servers: they may be internal."""
    errors = exc.kwargs.get("errors", ())
    return ", ".join(
        dict.fromkeys(one_line(str(error[3]), limit=60) for error in errors)
    )


def _answers(found: dns.resolver.Answer) -> tuple[str, ...]:
    """The records as text, sorted; TXT without its quotes."""
    texts = []
    for record in list(found)[:_MAX_ANSWERS]:
        if record.rdtype == dns.rdatatype.TXT:
            texts.append(b"".join(record.strings).decode("utf-8", "replace"))
        else:
            texts.append(record.to_text())
    return tuple(sorted(texts))


def _canonical(text: str, record_type: str) -> str:
    if record_type in _NAME_TYPES:
        return " ".join(part.rstrip(".") for part in text.lower().split())
    return text.lower() if record_type == "AAAA" else text


def _judge(
    request: ProbeRequest, phases: Phases, answers: tuple[str, ...]
) -> ProbeResult:
    options: DnsOptions = request.options
    shown = one_line(", ".join(answers), limit=1000)
    facts = {"answers": [one_line(answer) for answer in answers]}
    seen_set = {_canonical(answer, options.record_type) for answer in answers}
    wanted = {_canonical(answer, options.record_type) for answer in options.expected}
    problem = ""
    if missing := wanted - seen_set:
        problem = pgettext("stored", "Expected %(wanted)s, saw %(seen)s") % {
            "wanted": one_line(", ".join(sorted(missing))),
            "seen": one_line(shown),
        }
    elif options.is_exact and wanted and (surplus := seen_set - wanted):
        problem = pgettext("stored", "Saw %(surplus)s besides what was expected") % {
            "surplus": one_line(", ".join(sorted(surplus)))
        }
    if problem:
        return failures.failed(
            Reason.UNEXPECTED_ANSWER, problem, phases, excerpt=shown, facts=facts
        )
    unmet = assertions.judge(
        request.assertions, assertions.Seen(answer=shown, latency_ms=phases.total_ms)
    )
    if unmet is not None:
        return failures.failed(
            Reason.ASSERTION,
            unmet,
            phases,
            failed_assertion=unmet,
            excerpt=shown,
            facts=facts,
        )
    return ProbeResult(
        outcome=Outcome.PASSED,
        reason=int(Reason.OK),
        message=one_line(shown),
        phases=phases,
        facts=facts,
    )
