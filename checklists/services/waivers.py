"""Waivers: one person asks to release without an item, another approves, for a time."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from checklists.actors import Actor, engine, person
from checklists.facts import ItemFacts, PersonFacts, RunFacts
from checklists.models import ChecklistRun, RunItem, SignOff, Waiver
from checklists.queries import run_facts
from checklists.services.refusing import Refused, locked_run, written
from checklists.services.runs import append
from checklists.services.signing import (
    Proof,
    demand_proof,
    locked_facts,
    refuse,
    signature_details,
    signer_facts,
    write_signature,
)
from checklists.standing import Reason, why_not_approve

logger = logging.getLogger(__name__)

LONGEST = timedelta(days=90)
Ended = Waiver.Ended


def request(
    *,
    run_id: int,
    item_id: int,
    user: User,
    reason: str,
    risk: str,
    compensating_control: str,
    expires_at: datetime,
    proof: Proof,
    now: datetime,
    address: str | None = None,
) -> Waiver:
    """Ask that a release may go without an item; another person has to approve.

    Raises Refused, ChecklistRun.DoesNotExist.
    """
    reason = written(
        reason, code="reason_missing", message=_("Say why the item can't be met.")
    )
    risk = written(risk, code="risk_missing", message=_("Say what may go wrong."))
    compensating_control = written(
        compensating_control,
        code="control_missing",
        message=_("Say what is done instead, to keep the risk small."),
    )
    if not now < expires_at <= now + LONGEST:
        raise Refused(
            "bad_expiry", _("A waiver ends within 90 days. Choose an earlier day.")
        )
    demand_proof(proof, now)
    with transaction.atomic():
        run, item, _facts, _asked = locked_facts(run_id, item_id)
        asker = signer_facts(user)
        if not asker.is_active or not asker.may_waive:
            refuse(Reason("may_not_waive"))
        _end_lapsed(item, run, now)
        if Waiver.objects.filter(item=item, ended_at__isnull=True).exists():
            raise Refused(
                "waiver_open",
                _("The item has a waiver already. End that one first."),
            )
        waiver = Waiver.objects.create(
            item=item,
            item_revision=item.revision,
            git_sha=run.git_sha,
            reason=reason,
            risk=risk,
            compensating_control=compensating_control,
            requested_by=user,
            requested_by_name=asker.name,
            requested_at=now,
            expires_at=expires_at,
        )
        row = _signed(run, item, waiver, asker, reason, proof, address, now)
        details = {
            **signature_details(item, row),
            "waiver": waiver.pk,
            "expires_at": expires_at,
        }
        append("waiver_requested", run, person(user), details, now)
    return waiver


def approve(
    *,
    run_id: int,
    waiver_id: int,
    user: User,
    proof: Proof,
    now: datetime,
    comment: str = "",
    address: str | None = None,
) -> Waiver:
    """Take the risk as the second person; raises Refused.

    Whoever asked can't approve, admins included.
    """
    demand_proof(proof, now)
    with transaction.atomic():
        run = locked_run(run_id)
        waiver = _open_waiver(run, waiver_id)
        item = waiver.item
        facts = run_facts([run.pk])[run.pk]
        asked = _asked(facts, item)
        approver = signer_facts(user)
        if asked.waiver is not None:
            refuse(why_not_approve(facts, asked, asked.waiver, approver))
        if waiver.approved_at is not None:
            raise Refused("approved_already", _("It is approved already."))
        if (waiver.item_revision, waiver.git_sha) != (item.revision, run.git_sha):
            refuse(Reason("waiver_of_other"))
        if now >= waiver.expires_at:
            refuse(Reason("waiver_expired", {"at": waiver.expires_at}))
        waiver.approved_by = user
        waiver.approved_by_name = approver.name
        waiver.approved_at = now
        waiver.save(update_fields=["approved_by", "approved_by_name", "approved_at"])
        row = _signed(run, item, waiver, approver, comment.strip(), proof, address, now)
        details = {**signature_details(item, row), "waiver": waiver.pk}
        append("waiver_approved", run, person(user), details, now)
    return waiver


def refuse_request(
    *, run_id: int, waiver_id: int, reason: str, user: User, now: datetime
) -> Waiver:
    """Say no to a waiver that somebody asked for; raises Refused."""
    return _end_by(run_id, waiver_id, Ended.REFUSED, reason, user, now)


def end(
    *, run_id: int, waiver_id: int, reason: str, user: User, now: datetime
) -> Waiver:
    """End a waiver before its time, so that the gate closes again; raises Refused."""
    return _end_by(run_id, waiver_id, Ended.REVOKED, reason, user, now)


def expire_due(*, now: datetime) -> list[int]:
    """End the waivers of open runs whose time is over; return their numbers.

    Once ended they stay so, whatever the clock says later. One that fails holds up no
    other, and is tried again by the next tick.
    """
    due = Waiver.objects.filter(
        ended_at__isnull=True,
        expires_at__lte=now,
        item__run__state=ChecklistRun.State.OPEN,
    ).order_by("expires_at", "pk")
    ended = []
    for waiver_id, run_id in due.values_list("pk", "item__run"):
        try:
            if _expire(run_id, waiver_id, now):
                ended.append(waiver_id)
        except Exception:
            logger.exception("waiver %s could not be ended", waiver_id)
    return ended


# --- Inside -------------------------------------------------------------------------------


def _signed(
    run: ChecklistRun,
    item: RunItem,
    waiver: Waiver,
    signer: PersonFacts,
    comment: str,
    proof: Proof,
    address: str | None,
    now: datetime,
) -> SignOff:
    facts = run_facts([run.pk])[run.pk]
    asked = _asked(facts, item)
    return write_signature(
        run=run,
        item=item,
        facts=facts,
        asked=asked,
        signer=signer,
        meaning=SignOff.Meaning.WAIVED,
        comment=comment,
        proof=proof,
        address=address,
        now=now,
        waiver=waiver,
        waived=asked.waiver,
    )


def _asked(facts: RunFacts, item: RunItem) -> ItemFacts:
    return next(one for one in facts.items if one.id == item.pk)


def _open_waiver(run: ChecklistRun, waiver_id: int) -> Waiver:
    waiver = (
        Waiver.objects.filter(pk=waiver_id, item__run=run)
        .select_related("item")
        .first()
    )
    if waiver is None:
        raise Refused(
            "foreign_waiver", _("This waiver belongs to another run. Open that one.")
        )
    if waiver.ended_at is not None:
        raise Refused("waiver_over", _("This waiver has ended. Ask for a new one."))
    return waiver


def _end_by(
    run_id: int, waiver_id: int, how: str, reason: str, user: User, now: datetime
) -> Waiver:
    reason = written(reason, code="reason_missing", message=_("Say why it ends."))
    with transaction.atomic():
        run = locked_run(run_id)
        waiver = _open_waiver(run, waiver_id)
        someone = signer_facts(user)
        if not someone.is_active or not someone.may_waive:
            refuse(Reason("may_not_waive"))
        if how == Ended.REFUSED and waiver.approved_at is not None:
            raise Refused(
                "approved_already", _("It is approved already. End it instead.")
            )
        _end(run, waiver, how, reason, person(user), now)
    return waiver


def _expire(run_id: int, waiver_id: int, now: datetime) -> bool:
    with transaction.atomic():
        run = (
            ChecklistRun.objects.select_for_update(of=["self"], skip_locked=True)
            .filter(pk=run_id, state=ChecklistRun.State.OPEN)
            .first()
        )
        waiver = (
            Waiver.objects.filter(
                pk=waiver_id, ended_at__isnull=True, expires_at__lte=now
            )
            .select_related("item")
            .first()
        )
        if run is None or waiver is None:
            return False
        _end(run, waiver, Ended.EXPIRED, "", engine(), now)
    return True


def _end_lapsed(item: RunItem, run: ChecklistRun, now: datetime) -> None:
    """End a waiver whose time is over before the housekeeping has come by."""
    for waiver in Waiver.objects.filter(
        item=item, ended_at__isnull=True, expires_at__lte=now
    ):
        _end(run, waiver, Ended.EXPIRED, "", engine(), now)


def _end(
    run: ChecklistRun,
    waiver: Waiver,
    how: str,
    reason: str,
    actor: Actor,
    now: datetime,
) -> None:
    waiver.ended_at = now
    waiver.ended_as = how
    waiver.ended_by_name = actor.name
    waiver.ended_reason = reason
    waiver.save(update_fields=["ended_at", "ended_as", "ended_by_name", "ended_reason"])
    details = {
        "waiver": waiver.pk,
        "item": waiver.item.key,
        "as": how,
        "reason": reason,
    }
    append("waiver_ended", run, actor, details, now)
