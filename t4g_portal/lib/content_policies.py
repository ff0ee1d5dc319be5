"""What a browser may load, run and send to: the content policies (ADR 0006).

Read with the settings by every process, so it imports no Django.
"""

from __future__ import annotations

from typing import Any

from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

REPORT_PATH = "/csp-report"
# The header that names the group of addresses, for browsers that know no report-uri.
REPORTING_ENDPOINTS = f'csp="{REPORT_PATH}"'
_REPORTING = {"report-uri": REPORT_PATH, "report-to": "csp"}

# Whatever would be injected, a browser would neither run, load nor send it.
PUBLIC: dict[str, Any] = {
    "default-src": [NONE],
    "style-src": [SELF],
    "img-src": [SELF],
    "font-src": [SELF],
    "base-uri": [NONE],
    "form-action": [SELF],
    "frame-ancestors": [NONE],
    **_REPORTING,
}
# A page with scripts of its own, from files.
SCRIPTED: dict[str, Any] = {
    **PUBLIC,
    "script-src": [SELF, NONCE],
    "style-src": [SELF, NONCE],
    "connect-src": [SELF],
    # Small pictures stand in the style sheets.
    "img-src": [SELF, "data:"],
}
SHELL: dict[str, Any] = {
    **SCRIPTED,
    # Alpine, on which Unfold is built, makes functions of its attributes.
    "script-src": [SELF, NONCE, UNSAFE_EVAL],
    # The preview of a mail, which has the policy below.
    "frame-src": [SELF],
}
# A mail as it was sent: its styles stand in it, since mail programs load none.
MAIL: dict[str, Any] = {
    "default-src": [NONE],
    "style-src": [UNSAFE_INLINE],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [SELF],
    "sandbox": True,
    **_REPORTING,
}
