"""Where people find a run or an item: whole addresses, for what leaves the portal."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse


def run_url(run_id: int) -> str:
    """Return the page of a run."""
    return _whole(reverse("checklists:run", args=[run_id]))


def item_url(run_id: int, key: str) -> str:
    """Return the sheet of an item."""
    return _whole(reverse("checklists:item", args=[run_id, key]))


def new_run_url() -> str:
    """Return the page where a run is opened."""
    return _whole(reverse("checklists:new"))


def _whole(path: str) -> str:
    return f"{settings.PORTAL_URL}{path}"
