"""The certificate a target showed, for the monitor page and the `days_left` subject."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509

from monitors.probes.base import Certificate, Phases
from monitors.probes.texts import one_line
from t4g_portal.lib import egress

_MAX_NAMES = 100


def certificate_of(ssl_object: ssl.SSLObject | None) -> Certificate | None:
    """The leaf certificate of a finished handshake; None without one to read."""
    der = ssl_object.getpeercert(binary_form=True) if ssl_object is not None else None
    return None if der is None else parse_certificate(der)


@lru_cache(maxsize=2048)
def parse_certificate(der: bytes) -> Certificate | None:
    """Read a DER certificate; None when it is malformed.

    Cached: most probes see the certificate that the one before saw.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        return Certificate(
            subject=one_line(certificate.subject.rfc4514_string()),
            issuer=one_line(certificate.issuer.rfc4514_string()),
            names=_names(certificate),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            fingerprint_sha256=hashlib.sha256(der).hexdigest(),
        )
    except (ValueError, TypeError):
        return None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
    except x509.ExtensionNotFound:
        return ()
    names = [
        *found.get_values_for_type(x509.DNSName),
        *(str(ip) for ip in found.get_values_for_type(x509.IPAddress)),
    ]
    return tuple(one_line(name) for name in names[:_MAX_NAMES])


def days_left(certificate: Certificate) -> float:
    """Days until the certificate expires, by the wall clock; negative when it has."""
    return (certificate.not_after - datetime.now(UTC)).total_seconds() / 86400


def second_look_s(timeout_s: float, phases: Phases) -> float:
    """Seconds a second look may take, so that the first finding makes the deadline."""
    remaining_s = timeout_s - phases.total_ms / 1000
    return min(max(remaining_s / 2, 0.05), 2.0)


async def fetch_certificate(
    *,
    host: str,
    port: int,
    server_name: str,
    may_use_private: bool,
    within_s: float,
) -> Certificate | None:
    """The certificate that failed verification, from a second, unverified handshake.

    Nothing is sent over it. None when it can't be had within `within_s` seconds.
    """
    try:
        async with asyncio.timeout(within_s):
            stream = await egress.open_connection(
                host=host,
                port=port,
                may_use_private=may_use_private,
                tls=egress.ssl_context(verify=False),
                server_name=server_name,
            )
    except (OSError, TimeoutError, egress.BlockedAddress, egress.UnableToResolve):
        return None
    try:
        return certificate_of(stream.ssl_object)
    finally:
        stream.abort()
