"""The one door to the network: every outgoing request of the portal passes here.

A name is resolved once, *every* address is checked, and the connection goes to a
checked literal address, so neither a rebinding name server nor a redirect can lead us
into our own network. Host names stay in TLS (SNI) and in HTTP (Host).
"""

from __future__ import annotations

from t4g_portal.lib.egress.addresses import (
    BlockedAddress,
    allowed_networks,
    check_address,
)
from t4g_portal.lib.egress.borrowed import Borrowed, guarded_requests
from t4g_portal.lib.egress.client import guarded_client
from t4g_portal.lib.egress.names import (
    Recorder,
    Stage,
    Timings,
    UnableToResolve,
    resolve,
    resolve_blocking,
)
from t4g_portal.lib.egress.streams import (
    AnswerTooLarge,
    GuardedStream,
    open_connection,
)
from t4g_portal.lib.egress.tls import authorities_file, ssl_context

__all__ = [
    "AnswerTooLarge",
    "BlockedAddress",
    "Borrowed",
    "GuardedStream",
    "Recorder",
    "Stage",
    "Timings",
    "UnableToResolve",
    "allowed_networks",
    "authorities_file",
    "check_address",
    "guarded_client",
    "guarded_requests",
    "open_connection",
    "resolve",
    "resolve_blocking",
    "ssl_context",
]
