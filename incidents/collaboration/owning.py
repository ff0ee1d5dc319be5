"""Whose a postmortem or an action item is."""

from __future__ import annotations

from incidents.models import ActionItem, Postmortem
from incidents.people import Actor


def give(row: Postmortem | ActionItem, owner: Actor) -> None:
    """Let somebody own what follows an incident; the caller saves it."""
    row.owner_user = owner.user
    row.owner_contact = owner.contact
    row.owner_name = owner.name
    # A new owner hears of it in time, whatever the old one was told.
    row.reminded_on = None
