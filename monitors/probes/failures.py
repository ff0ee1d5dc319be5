"""What an exception says about the target: one reading for all kinds."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Mapping
from datetime import datetime

from django.utils.translation import pgettext

from monitors.probes.base import (
    Certificate,
    Outcome,
    Phases,
    ProbeResult,
    Reason,
    UnableToParse,
)
from monitors.probes.texts import one_line
from t4g_portal.lib.egress import (
    AnswerTooLarge,
    BlockedAddress,
    Stage,
    UnableToResolve,
)

# Ours to run out of: says nothing of the target.
_SHORTAGES = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)
)
_UNREACHABLE = frozenset(
    (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)
)
_LOST = frozenset((errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ESHUTDOWN))
# X509_V_ERR_… of OpenSSL's x509_vfy.h; whatever isn't named here is "untrusted".
_VERIFY_REASONS: Mapping[int, Reason] = {
    9: Reason.TLS_NOT_YET_VALID,
    10: Reason.TLS_EXPIRED,
    62: Reason.TLS_WRONG_HOST,
    64: Reason.TLS_WRONG_HOST,
}


def failed(
    reason: int,
    message: str,
    phases: Phases,
    *,
    status_code: int | None = None,
    failed_assertion: str = "",
    excerpt: str = "",
    certificate: Certificate | None = None,
    facts: Mapping[str, object] | None = None,
) -> ProbeResult:
    """A FAILED result."""
    return ProbeResult(
        outcome=Outcome.FAILED,
        reason=int(reason),
        message=message,
        phases=phases,
        status_code=status_code,
        failed_assertion=failed_assertion,
        excerpt=excerpt,
        certificate=certificate,
        facts=facts or {},
    )


def not_judged(reason: Reason, message: str, phases: Phases) -> ProbeResult:
    """An ERROR result: our own fault."""
    return ProbeResult(
        outcome=Outcome.ERROR, reason=int(reason), message=message, phases=phases
    )


def out_of_resources(phases: Phases) -> ProbeResult:
    """This machine ran out of something; says nothing of the target."""
    return not_judged(
        Reason.NO_RESOURCES,
        pgettext("stored", "This machine has no free sockets, ports or memory"),
        phases,
    )


def names_shortage(text: str) -> bool:
    """Whether a library's error text speaks of a shortage of ours."""
    return any(os.strerror(code) in text for code in _SHORTAGES)


def timed_out(*, timeout_s: float, phases: Phases) -> ProbeResult:
    """The deadline passed; the message tells how far the probe got."""
    if phases.stage is Stage.LOOKUP_QUEUE:
        return not_judged(
            Reason.NO_RESOURCES,
            pgettext("stored", "All name lookups of this machine are busy"),
            phases,
        )
    parts = [
        pgettext("stored", "%(phase)s %(ms)d ms")
        % {"phase": name, "ms": round(spent_ms)}
        for name, spent_ms in (
            (pgettext("stored", "DNS"), phases.dns_ms),
            (pgettext("stored", "connect"), phases.connect_ms),
            (pgettext("stored", "TLS"), phases.tls_ms),
            (pgettext("stored", "first byte"), phases.first_byte_ms),
        )
        if spent_ms is not None
    ]
    waiting_for = stage_text(phases.stage)
    if waiting_for:
        parts.append(waiting_for)
    message = pgettext("stored", "No answer within %(timeout)s s") % {
        "timeout": f"{timeout_s:g}"
    }
    if parts:
        message = f"{message}; {', '.join(parts)}"
    return failed(Reason.TIMEOUT, message, phases)


def stage_text(stage: Stage) -> str:
    """What a probe at `stage` is busy with; empty at the start."""
    return {
        Stage.LOOKUP: pgettext("stored", "looking up the name"),
        Stage.CONNECT: pgettext("stored", "connecting"),
        Stage.TLS: pgettext("stored", "in the TLS handshake"),
        Stage.FIRST_BYTE: pgettext("stored", "waiting for the first byte"),
        Stage.TRANSFER: pgettext("stored", "reading the answer"),
    }.get(stage, "")


def from_exception(exc: Exception, phases: Phases) -> ProbeResult | None:
    """The result an expected exception means; None for one that is a bug of ours."""
    match exc:
        case UnableToParse():
            return failed(Reason.MISCONFIGURED, str(exc), phases)
        case BlockedAddress():
            return failed(Reason.BLOCKED_ADDRESS, str(exc), phases)
        case UnableToResolve():
            return failed(Reason.DNS, str(exc), phases)
        case AnswerTooLarge():
            return failed(
                Reason.PROTOCOL, pgettext("stored", "The answer does not end"), phases
            )
        case ssl.SSLCertVerificationError():
            return bad_certificate(exc, phases)
        case ssl.SSLError():
            return failed(Reason.TLS, _tls_text(exc), phases)
        case OSError():
            return _from_os_error(exc, phases)
    return None


def bad_certificate(
    exc: ssl.SSLCertVerificationError,
    phases: Phases,
    *,
    certificate: Certificate | None = None,
) -> ProbeResult:
    """What is wrong with a certificate: expired, too young, wrong host or untrusted."""
    reason = _VERIFY_REASONS.get(exc.verify_code, Reason.TLS_UNTRUSTED)
    return failed(
        reason,
        _certificate_text(reason, exc, certificate),
        phases,
        certificate=certificate,
    )


def _certificate_text(
    reason: Reason,
    exc: ssl.SSLCertVerificationError,
    certificate: Certificate | None,
) -> str:
    if reason is Reason.TLS_UNTRUSTED:
        return pgettext("stored", "The certificate is not trusted: %(why)s") % {
            "why": one_line(exc.verify_message or "")
        }
    if certificate is None:
        return {
            Reason.TLS_NOT_YET_VALID: pgettext(
                "stored", "The certificate is not valid yet"
            ),
            Reason.TLS_EXPIRED: pgettext("stored", "The certificate has expired"),
        }.get(reason, pgettext("stored", "The certificate is for another host"))
    return {
        Reason.TLS_NOT_YET_VALID: pgettext(
            "stored", "The certificate is not valid before %(date)s"
        ),
        Reason.TLS_EXPIRED: pgettext("stored", "The certificate expired on %(date)s"),
    }.get(
        reason, pgettext("stored", "The certificate is for another host: %(names)s")
    ) % {
        "date": f"{_decisive_date(reason, certificate):%Y-%m-%d}",
        "names": ", ".join(certificate.names[:3]) or certificate.subject,
    }


def _decisive_date(reason: Reason, certificate: Certificate) -> datetime:
    if reason is Reason.TLS_NOT_YET_VALID:
        return certificate.not_before
    return certificate.not_after


def _tls_text(exc: ssl.SSLError) -> str:
    why = exc.reason or ""
    if why in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"):
        return pgettext("stored", "This port does not speak TLS")
    return pgettext("stored", "TLS failed: %(why)s") % {
        "why": one_line(why.replace("_", " ").lower())
        or pgettext("stored", "connection closed")
    }


def _from_os_error(exc: OSError, phases: Phases) -> ProbeResult | None:
    if exc.errno in _SHORTAGES:
        return out_of_resources(phases)
    if exc.errno == errno.ECONNREFUSED:
        return failed(
            Reason.REFUSED, pgettext("stored", "The connection was refused"), phases
        )
    if exc.errno in _UNREACHABLE:
        return failed(
            Reason.UNREACHABLE, pgettext("stored", "No way leads to the target"), phases
        )
    if exc.errno == errno.ETIMEDOUT:
        return failed(
            Reason.TIMEOUT,
            pgettext("stored", "The network gave up on the target"),
            phases,
        )
    if exc.errno in _LOST or isinstance(exc, ConnectionError):
        where = stage_text(phases.stage)
        message = pgettext("stored", "The connection was lost")
        return failed(
            Reason.CONNECTION_LOST, f"{message} ({where})" if where else message, phases
        )
    return None
