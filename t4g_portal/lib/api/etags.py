"""ETags: `"<version>.<digest>"`.

The version changes with what people may change; `If-Match` compares it alone, so that a
monitor may go down while somebody edits it. The digest is of the whole answer, for
`If-None-Match`.
"""

from __future__ import annotations

import hashlib
import re

from django.utils.translation import gettext as _
from rest_framework.request import Request

from t4g_portal.lib.api.problems import Refused

# Also the pattern in the schema.
ETAG = r'^(\*|"[0-9A-Za-z]{1,40}(\.[0-9A-Za-z]{1,40})?")$'
_FORM = re.compile(ETAG)


def etag(*, version: str, content: bytes) -> str:
    """Return the tag of an answer."""
    digest = hashlib.blake2b(content, digest_size=10).hexdigest()
    return f'"{version}.{digest}"'


def expected_version(request: Request) -> str | None:
    """Return the version that `If-Match` names; None without one and for `*`."""
    tag = _read(request, "If-Match")
    return None if tag in (None, "*") else str(tag).strip('"').partition(".")[0]


def has_it(request: Request, tag: str) -> bool:
    """Whether `If-None-Match` says that the asker has this very answer."""
    asked = request.headers.get("If-None-Match", "")
    return asked == "*" or tag in {
        one.strip().removeprefix("W/") for one in asked.split(",")
    }


def _read(request: Request, name: str) -> str | None:
    text = request.headers.get(name)
    if text is None:
        return None
    # A proxy that compresses makes a tag weak; the version in it holds.
    tag: str = text.strip().removeprefix("W/")
    if not _FORM.fullmatch(tag):
        raise Refused(
            status=400,
            slug="malformed",
            detail=_("Send one ETag as it was received, in its quotes."),
            errors=[{"header": name, "detail": _("This is no ETag of ours.")}],
        )
    return tag
