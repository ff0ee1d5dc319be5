"""Why something blocks, for programs: a code that stays and a sentence in English."""

from __future__ import annotations

from collections.abc import Iterable

from checklists import reasons
from checklists.standing import Reason
from t4g_portal.lib.retelling import source_language


def said(why: Iterable[Reason]) -> list[dict[str, str]]:
    """Return reasons as JSON."""
    with source_language():
        return [{"code": one.code, "detail": reasons.words(one)} for one in why]
