"""The words for a result's code, where its own words weren't kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from monitors.probes.base import Reason

_WORDS: Mapping[int, Any] = {
    Reason.OK: gettext_lazy("Passed"),
    Reason.TIMEOUT: gettext_lazy("No answer in time"),
    Reason.DNS: gettext_lazy("The name was not found"),
    Reason.REFUSED: gettext_lazy("Connection refused"),
    Reason.UNREACHABLE: gettext_lazy("Host or network unreachable"),
    Reason.CONNECTION_LOST: gettext_lazy("Connection lost"),
    Reason.PROTOCOL: gettext_lazy("The answer breaks the protocol"),
    Reason.TLS: gettext_lazy("TLS failed"),
    Reason.TLS_EXPIRED: gettext_lazy("Certificate expired"),
    Reason.TLS_NOT_YET_VALID: gettext_lazy("Certificate not valid yet"),
    Reason.TLS_WRONG_HOST: gettext_lazy("Certificate of another host"),
    Reason.TLS_UNTRUSTED: gettext_lazy("Certificate not trusted"),
    Reason.TOO_MANY_REDIRECTS: gettext_lazy("Too many redirects"),
    Reason.BAD_REDIRECT: gettext_lazy("Redirect that leads nowhere"),
    Reason.ASSERTION: gettext_lazy("Not as expected"),
    Reason.AUTHENTICATION: gettext_lazy("Sign-in refused"),
    Reason.UNEXPECTED_ANSWER: gettext_lazy("Unexpected answer"),
    Reason.BLOCKED_ADDRESS: gettext_lazy("Address not allowed"),
    Reason.MISCONFIGURED: gettext_lazy("Misconfigured"),
    Reason.HEARTBEAT_MISSED: gettext_lazy("No ping in time"),
    Reason.HEARTBEAT_FAILED: gettext_lazy("The ping said that it failed"),
    Reason.INTERNAL: gettext_lazy("A mistake of the portal's own"),
    Reason.OFFLINE: gettext_lazy("The portal was offline"),
    Reason.NO_RESOURCES: gettext_lazy("The portal ran out of resources"),
}


def is_ours(code: int) -> bool:
    """Whether the fault was the portal's, which says nothing about the target."""
    return 90 <= code <= 99


def reason_words(code: int) -> str:
    """Say what a code means: a `Reason`, or the HTTP status that was not expected."""
    if 100 <= code <= 599:
        return f"HTTP {code}"
    if code in _WORDS:
        return str(_WORDS[code])
    return _("Failed (code %(code)d)") % {"code": code}
