"""One item of a run: opened anew, given to somebody."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from checklists.actors import Actor
from checklists.models import RunItem
from checklists.services.refusing import item_of, locked_run, written
from checklists.services.runs import append, end_waivers
from notifications.models import Contact
from t4g_portal.lib.retelling import source_language


def reopen(
    *, run_id: int, item_id: int, reason: str, actor: Actor, now: datetime
) -> RunItem:
    """Begin an item anew: evidence, signatures and waiver so far count no more.

    They stay readable. Raises Refused, ChecklistRun.DoesNotExist.
    """
    reason = written(reason, code="reason_missing", message=_("Say why you reopen it."))
    with transaction.atomic():
        run = locked_run(run_id)
        item = item_of(run, item_id)
        item.revision += 1
        item.lease_until = None
        if item.kind == RunItem.Kind.RULE:
            item.next_verify_at = now
        item.save(update_fields=["revision", "lease_until", "next_verify_at"])
        end_waivers(run, _reopened(), actor, now, item=item)
        details = {"item": item.key, "revision": item.revision, "reason": reason}
        append("item_reopened", run, actor, details, now)
    return item


def assign(
    *, run_id: int, item_id: int, owner: Contact | None, actor: Actor, now: datetime
) -> RunItem:
    """Say who sees to an item; raises Refused, ChecklistRun.DoesNotExist."""
    with transaction.atomic():
        run = locked_run(run_id)
        item = item_of(run, item_id)
        item.owner = owner
        item.owner_name = owner.name if owner else ""
        item.save(update_fields=["owner", "owner_name"])
        details = {"item": item.key, "owner": item.owner_name}
        append("item_assigned", run, actor, details, now)
    return item


def _reopened() -> str:
    with source_language():
        return pgettext("stored", "The item was reopened.")
