"""A word, an icon and a color for each state of an item, a run, a proof, a signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import get_language, pgettext_lazy

from checklists.models import ChecklistRun
from checklists.standing import State

# Looks are those of monitors: their icons and colors mean the same everywhere.
LOOKS: Mapping[str, str] = {
    State.MET: "up",
    State.WAIVED: "maintenance",
    State.WAITING: "pending",
    State.STALE: "degraded",
    State.FAILED: "down",
    State.NOT_CONNECTED: "paused",
    State.UNKNOWN: "unknown",
}
WORDS: Mapping[str, Any] = {
    State.MET: pgettext_lazy("checklist item", "Met"),
    State.WAIVED: pgettext_lazy("checklist item", "Waived"),
    State.WAITING: pgettext_lazy("checklist item", "Waiting"),
    State.STALE: pgettext_lazy("checklist item", "Stale"),
    State.FAILED: pgettext_lazy("checklist item", "Failed"),
    State.NOT_CONNECTED: pgettext_lazy("checklist item", "Not connected"),
    State.UNKNOWN: pgettext_lazy("checklist item", "Unknown"),
}
# What needs a person first.
ORDER: Mapping[str, int] = {
    state: place
    for place, state in enumerate(
        (
            State.FAILED,
            State.STALE,
            State.NOT_CONNECTED,
            State.UNKNOWN,
            State.WAITING,
            State.WAIVED,
            State.MET,
        )
    )
}
VERDICT_LOOKS: Mapping[str, str] = {
    "passed": "up",
    "failed": "down",
    "unknown": "unknown",
    "not_connected": "paused",
}
ENDED_LOOKS: Mapping[str, str] = {
    ChecklistRun.State.CLOSED: "up",
    ChecklistRun.State.CANCELLED: "paused",
    ChecklistRun.State.EXPIRED: "degraded",
}
SHA_LENGTH = 10


def in_language(words: str, words_fr: str) -> str:
    """Return the text of a template in the reader's language; the first when in doubt."""
    return words_fr if words_fr and (get_language() or "").startswith("fr") else words


def short(sha: str) -> str:
    """Return as much of a commit or a hash as people compare."""
    return sha[:SHA_LENGTH]
