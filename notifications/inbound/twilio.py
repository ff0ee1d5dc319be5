"""Twilio's signature on what it posts to us (X-Twilio-Signature). Pure.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

_PORTS = {"https": 443, "http": 80}


def verify(
    *, url: str, params: Mapping[str, str], signature: str, auth_token: str
) -> bool:
    """Say whether Twilio signed this form for this address.

    `url` is the whole public address that Twilio called, with its query. Twilio signs
    it with or without the usual port; both count. No token verifies nothing.
    """
    if not auth_token or not signature.isascii():
        return False
    fields = "".join(name + params[name] for name in sorted(params))
    return any(
        hmac.compare_digest(_signature(one + fields, auth_token), signature)
        for one in _variants(url)
    )


def _signature(signed: str, auth_token: str) -> str:
    digest = hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def _variants(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    usual = _PORTS.get(parts.scheme)
    if parts.port is None:
        return (url, _with_host(parts, f"{parts.netloc}:{usual}"))
    return (url, _with_host(parts, parts.netloc.rpartition(":")[0]))


def _with_host(parts: SplitResult, netloc: str) -> str:
    return parts._replace(netloc=netloc).geturl()
