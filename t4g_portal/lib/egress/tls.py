"""TLS contexts: one a process and policy, because a fresh one costs 19 ms of CPU."""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path

import certifi

# Debian's and Alpine's bundle, for programs that want one file.
_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def authorities_file() -> str:
    """The certificate authorities we trust, as one PEM file.

    The system's (so a company's own authority works; SSL_CERT_FILE moves it), or
    certifi's where a slim image has none.
    """
    cafile = ssl.get_default_verify_paths().cafile
    if cafile:
        return cafile
    return str(_BUNDLE) if _BUNDLE.is_file() else certifi.where()


@lru_cache(maxsize=8)
def ssl_context(*, verify: bool = True, alpn: str = "") -> ssl.SSLContext:
    """The process's client context for a policy. Never change what you get.

    TLS 1.2 and newer, trusting `authorities_file`. `alpn` names the protocol to offer
    ("http/1.1"); a server that isn't HTTP may refuse an offer.
    """
    context = ssl.create_default_context(cafile=authorities_file())
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([alpn])
    return context
