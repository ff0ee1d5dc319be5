"""Why something doesn't count, in words: one sentence a code, which says what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checklists.standing import Reason
from checklists.verifiers import registry

Values = Mapping[str, Any]


def words(reason: Reason) -> str:
    """Return a reason as a sentence; raises KeyError for a code that has none."""
    return _WORDS[reason.code](reason.values)


def codes() -> frozenset[str]:
    """Return every code that has words."""
    return frozenset(_WORDS)


def _missing_signatures(values: Values) -> str:
    missing = values["needed"] - values["have"]
    if values["role"]:
        return ngettext(
            "%(count)s signature by %(role)s is missing.",
            "%(count)s signatures by %(role)s are missing.",
            missing,
        ) % {"count": missing, "role": values["role"]}
    return ngettext(
        "%(count)s signature is missing.", "%(count)s signatures are missing.", missing
    ) % {"count": missing}


def _did_not_pass(values: Values) -> str:
    """What the verifier says; of a program's payload, which one it was."""
    if values["kind"] == "verification":
        found = values["payload"]
        return registry.words(found["verifier"], found["code"], found["values"])
    return _("%(title)s did not pass. Send it again, or withdraw it.") % {
        "title": values["title"] or _("What a program sent")
    }


def _signed_other(values: Values) -> str:
    changed = set(values.get("changed", ()))
    name = {"name": values["name"]}
    if "git_sha" in changed:
        return _("%(name)s signed for another commit.") % name
    if "revision" in changed:
        return _("%(name)s signed before the item was reopened.") % name
    if "evidence" in changed:
        return _("%(name)s signed on other evidence.") % name
    return _("%(name)s signed another text.") % name


def _moment(values: Values) -> dict[str, str]:
    return {"at": date_format(localtime(values["at"]), "DATETIME_FORMAT")}


_WORDS: Mapping[str, Callable[[Values], str]] = {
    # Evidence
    "evidence_failed": _did_not_pass,
    "evidence_unknown": _did_not_pass,
    "evidence_not_connected": _did_not_pass,
    "evidence_ahead": lambda _v: _("The evidence is dated in the future."),
    "not_looked_lately": lambda v: (
        _("The portal has not looked since %(at)s. See to it that its worker runs.")
        % _moment(v)
    ),
    "evidence_old": lambda _v: _("The evidence is too old. Bring new evidence."),
    "evidence_missing": lambda _v: _("Evidence is missing. Attach some."),
    "payload_missing": lambda _v: _("No program has sent its evidence yet."),
    "not_verified": lambda _v: _("It has not been verified yet."),
    # Signatures
    "signatures_missing": _missing_signatures,
    "signed_other": _signed_other,
    "signed_long_ago": lambda v: _("%(name)s signed too long ago.") % v,
    "signed_ahead": lambda v: _("The signature of %(name)s is of the future.") % v,
    "signer_inactive": lambda v: _("The account of %(name)s is switched off.") % v,
    "signer_may_no_more": lambda v: _("%(name)s may not sign any more.") % v,
    "signer_lost_role": lambda v: _("%(name)s is not in %(role)s any more.") % v,
    # Who can't sign or approve; also said of a signature that stands already
    "may_not_sign": lambda _v: _("You may not sign. Ask an admin for the permission."),
    "may_not_waive": lambda _v: _(
        "You may not waive items. Ask an admin for the permission."
    ),
    "role_missing": lambda v: _("Only somebody in %(role)s can sign this item.") % v,
    "signed_already": lambda _v: _("You have signed it already."),
    "opened_run": lambda _v: _(
        "Whoever opened the run can't sign this item. Ask somebody else to sign."
    ),
    "moved_run": lambda _v: _(
        "Whoever brought the commit can't sign this item. Ask somebody else to sign."
    ),
    "brought_evidence": lambda _v: _(
        "Whoever brought the evidence can't sign this item. Ask somebody else to sign."
    ),
    "requested_it": lambda _v: _(
        "Whoever asks for a waiver can't approve it. Ask somebody else."
    ),
    # Waivers
    "waiver_not_approved": lambda v: (
        _("%(name)s asked for a waiver. A second person has to approve it.") % v
    ),
    "waiver_expired": lambda v: _("The waiver ended at %(at)s.") % _moment(v),
    "waiver_of_other": lambda _v: _(
        "The waiver is for another commit or an earlier revision. Ask for a new one."
    ),
    "waiver_ahead": lambda _v: _("The waiver is dated in the future."),
    "waiver_by_one": lambda _v: _("A waiver takes two people."),
    "waiver_not_signed": lambda _v: _("The waiver is not signed by both people."),
    # The run
    "run_over": lambda _v: _("The run is over. Open a new one."),
    "deadline_passed": lambda v: _("The deadline was %(at)s.") % _moment(v),
    "nothing_demanded": lambda _v: _("No item blocks the release."),
}
