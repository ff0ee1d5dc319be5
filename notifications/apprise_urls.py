"""Which Apprise URLs a channel may have. Pure, but for one look at the settings.

Apprise knows more than a hundred services, among them some that run programs, write to
the system's log or read files. Only those that the installation lists are let in.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

_SCHEME = re.compile(r"[a-z0-9]{2,20}")
# They read files of this machine, or send what stands elsewhere.
_FORBIDDEN = frozenset(
    {"template", "attach", "attachment", "icon_url", "include", "config"}
    # Ours to decide: how long, how often, how safely.
    | {"retry", "wait", "rto", "cto", "redirect", "verify"}
)


def apprise_problem(url: str) -> str:
    """Say what is wrong with an Apprise URL; nothing when it may be used or is empty."""
    if not url:
        return ""
    wrong = _("Paste one Apprise URL, such as ntfys://topic or tgram://token/chat.")
    if not url.isascii() or not url.isprintable() or re.search(r"[\s,;]", url):
        return wrong
    scheme, separator, rest = url.partition("://")
    if not separator or not rest or not _SCHEME.fullmatch(scheme):
        return wrong
    if scheme not in settings.APPRISE_SCHEMES:
        return _(
            "%(scheme)s:// is not allowed. Allowed are: %(known)s. APPRISE_SCHEMES "
            "changes that."
        ) % {"scheme": scheme, "known": ", ".join(sorted(settings.APPRISE_SCHEMES))}
    try:
        urlsplit(url)
    except ValueError:
        return wrong
    # As Apprise reads it: options begin at the first "?", behind a "#", too.
    query = re.sub(r"[?#;]", "&", url.partition("?")[2])
    # With a sign before it, a name becomes a header or a part of the body.
    names = {name.strip(" +-:").lower() for name, _value in parse_qsl(query)}
    found = sorted(names & _FORBIDDEN)
    if found:
        return _("Leave %(name)s out of the URL.") % {"name": found[0]}
    return ""
