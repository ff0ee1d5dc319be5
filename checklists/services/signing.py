"""Signing: a named person vouches for one exact version of one item."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from checklists import reasons
from checklists.actors import person
from checklists.canonical import digest, plain
from checklists.facts import ItemFacts, PersonFacts, RunFacts, WaiverFacts
from checklists.models import ChecklistRun, RunItem, SignOff, Waiver
from checklists.queries import person_facts, run_facts
from checklists.services.refusing import MAX_TEXT, Refused, item_of, locked_run, written
from checklists.services.runs import append
from checklists.standing import Reason, why_not_sign
from checklists.statements import counting, statement

# How old a proof may be, and how far ahead a clock that was set back may have put it.
PROOF_LASTS = timedelta(minutes=5)
# From where somebody signed is personal data, and nothing rests on it.
ADDRESS_KEPT = timedelta(days=365)
MEANINGS = (SignOff.Meaning.CHECKED, SignOff.Meaning.APPROVED)


class Proof(Protocol):
    """That somebody has just shown who they are; see `t4g_portal.lib.reauthentication`."""

    @property
    def at(self) -> datetime: ...
    @property
    def method(self) -> str: ...


def sign(
    *,
    run_id: int,
    item_id: int,
    user: User,
    meaning: str,
    seen_statement_hash: str,
    proof: Proof,
    now: datetime,
    comment: str = "",
    address: str | None = None,
) -> SignOff:
    """Sign an item as it was seen; a signature of theirs that is stale is superseded.

    `seen_statement_hash`: `ItemStanding.seen` of what the signer was shown. `address`
    is kept beside, where it can be erased. Raises Refused, ChecklistRun.DoesNotExist.
    """
    if meaning not in MEANINGS:
        raise Refused("bad_meaning", _("Choose what you vouch for: checked, approved."))
    comment = comment.replace("\x00", "").strip()
    if len(comment) > MAX_TEXT:
        raise Refused(
            "too_long",
            _("That is too long. Use at most %(count)s characters.")
            % {"count": MAX_TEXT},
        )
    demand_proof(proof, now)
    with transaction.atomic():
        run, item, facts, asked = locked_facts(run_id, item_id)
        signer = signer_facts(user)
        refuse(why_not_sign(facts, asked, signer, now))
        if digest(statement(facts, asked, meaning="")) != seen_statement_hash:
            raise Refused(
                "changed",
                _(
                    "The item has changed since you opened it. Read it again, then sign."
                ),
            )
        row = write_signature(
            run=run,
            item=item,
            facts=facts,
            asked=asked,
            signer=signer,
            meaning=meaning,
            comment=comment,
            proof=proof,
            address=address,
            now=now,
        )
        append("signed", run, person(user), signature_details(item, row), now)
    return row


def revoke(
    *, run_id: int, sign_off_id: int, reason: str, user: User, now: datetime
) -> SignOff:
    """Take a signature back: the signer, or whoever may change runs. Raises Refused."""
    reason = written(reason, code="reason_missing", message=_("Say why it is revoked."))
    actor = person(user)
    with transaction.atomic():
        run = locked_run(run_id)
        row = (
            SignOff.objects.filter(pk=sign_off_id, item__run=run)
            .select_related("item")
            .first()
        )
        if row is None:
            raise Refused(
                "foreign_signature",
                _("This signature belongs to another run. Open that one."),
            )
        if row.waiver_id is not None:
            raise Refused(
                "of_a_waiver", _("It signs a waiver. End the waiver instead.")
            )
        if row.revoked_at is not None or row.superseded_at is not None:
            raise Refused(
                "revoked_already", _("This signature counts no more already.")
            )
        if row.user_id != user.pk and not user.has_perm(
            "checklists.change_checklistrun"
        ):
            raise Refused(
                "not_yours",
                _("Only the signer, or whoever may change runs, can do it."),
            )
        row.revoked_at = now
        row.revoked_by = user
        row.revoked_by_name = actor.name
        row.revoked_reason = reason
        row.save(
            update_fields=[
                "revoked_at",
                "revoked_by",
                "revoked_by_name",
                "revoked_reason",
            ]
        )
        details = {
            "item": row.item.key,
            "sign_off": row.pk,
            "signer": row.user_id,
            "statement_hash": row.statement_hash,
            "reason": reason,
        }
        append("signature_revoked", run, actor, details, now)
    return row


def erase_addresses(*, now: datetime) -> int:
    """Forget from where people signed a year ago; return how many were forgotten."""
    return SignOff.objects.filter(
        signed_at__lt=now - ADDRESS_KEPT, address__isnull=False
    ).update(address=None)


# --- For signatures and waivers -----------------------------------------------------------


def demand_proof(proof: Proof, now: datetime) -> None:
    """Raise Refused for a proof that is too old, or of the future."""
    if not timedelta() <= now - proof.at <= PROOF_LASTS:
        raise Refused(
            "not_confirmed",
            _("Enter your password again: it was more than 5 minutes ago."),
        )


def locked_facts(
    run_id: int, item_id: int
) -> tuple[ChecklistRun, RunItem, RunFacts, ItemFacts]:
    """Lock an open run and return it with an item, and the facts about both."""
    run = locked_run(run_id)
    item = item_of(run, item_id)
    facts = run_facts([run.pk])[run.pk]
    asked = next(one for one in facts.items if one.id == item.pk)
    return run, item, facts, asked


def signer_facts(user: User) -> PersonFacts:
    """Return what somebody may do now, as the database says, not the session."""
    found = person_facts([user.pk]).get(user.pk)
    if found is None:
        raise Refused("may_not_sign", _("This account is gone. Sign in again."))
    return found


def refuse(reason: Reason | None) -> None:
    """Raise Refused for a reason of the judge's."""
    if reason is not None:
        raise Refused(reason.code, reasons.words(reason))


def write_signature(
    *,
    run: ChecklistRun,
    item: RunItem,
    facts: RunFacts,
    asked: ItemFacts,
    signer: PersonFacts,
    meaning: str,
    comment: str,
    proof: Proof,
    address: str | None,
    now: datetime,
    waiver: Waiver | None = None,
    waived: WaiverFacts | None = None,
) -> SignOff:
    """Write a signature; the one before by the same person is superseded."""
    said = plain(statement(facts, asked, meaning=meaning, waiver=waived))
    before = list(
        SignOff.objects.filter(
            item=item,
            user=signer.user_id,
            waiver=waiver,
            revoked_at__isnull=True,
            superseded_at__isnull=True,
        ).values_list("pk", flat=True)
    )
    # First in words, then by number: only one of somebody's may stand at a time.
    SignOff.objects.filter(pk__in=before).update(superseded_at=now)
    row = SignOff.objects.create(
        item=item,
        item_revision=item.revision,
        user_id=signer.user_id,
        printed_name=signer.name,
        role=asked.required_role or ", ".join(sorted(signer.groups))[:500],
        meaning=meaning,
        statement=said,
        statement_hash=digest(said),
        rests_on=[] if waiver else [one.id for one in counting(asked.evidence)],
        comment=comment,
        auth_method=proof.method,
        auth_at=proof.at,
        signed_at=now,
        address=address or None,
        waiver=waiver,
    )
    SignOff.objects.filter(pk__in=before).update(superseded_by=row)
    return row


def signature_details(item: RunItem, row: SignOff) -> dict[str, object]:
    """Return what the audit chain keeps of a signature."""
    return {
        "item": item.key,
        "revision": row.item_revision,
        "sign_off": row.pk,
        "printed_name": row.printed_name,
        "role": row.role,
        "meaning": row.meaning,
        "statement": row.statement,
        "statement_hash": row.statement_hash,
        "rests_on": list(row.rests_on),
        "comment": row.comment,
        "auth_method": row.auth_method,
        "auth_at": row.auth_at,
    }
