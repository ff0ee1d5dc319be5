"""Evidence: brought by people and programs, found by verifiers, withdrawn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit

from django.db import transaction
from django.utils.translation import gettext as _

from checklists.actors import Actor
from checklists.canonical import canonical, digest, plain
from checklists.models import ChecklistRun, Evidence, RunItem
from checklists.models.evidence import MAX_FILE_BYTES
from checklists.services.refusing import Refused, item_of, locked_run, written
from checklists.services.runs import append

MAX_PAYLOAD_BYTES = 64 * 1024
MAX_TITLE, MAX_URL, MAX_FILE_NAME = 200, 1000, 200
Kind, Verdict = Evidence.Kind, Evidence.Verdict


class Finding(Protocol):
    """What a verifier found; `looked_at` says what, stably, `observed` the figures."""

    @property
    def verdict(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def values(self) -> Mapping[str, Any]: ...
    @property
    def looked_at(self) -> Mapping[str, Any]: ...
    @property
    def observed(self) -> Mapping[str, Any]: ...


def attach_link(
    *,
    run_id: int,
    item_id: int,
    url: str,
    title: str,
    actor: Actor,
    now: datetime,
    git_sha: str | None = None,
) -> Evidence:
    """Keep an address as evidence; raises Refused.

    `git_sha`: the commit that it is about. Refused when the run is at another.
    """
    url = url.strip()
    parts = urlsplit(url)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or len(url) > MAX_URL
    ):
        raise Refused(
            "bad_address", _("Give an address that begins with https:// or http://.")
        )
    return _attach(
        run_id=run_id,
        item_id=item_id,
        kind=Kind.LINK,
        title=_titled(title),
        payload={"url": url},
        rest={"url": url},
        about=git_sha,
        actor=actor,
        now=now,
    )


def attach_note(
    *,
    run_id: int,
    item_id: int,
    text: str,
    actor: Actor,
    now: datetime,
    title: str = "",
    git_sha: str | None = None,
) -> Evidence:
    """Keep what somebody wrote as evidence; raises Refused. `git_sha` as for a link."""
    text = written(text, code="text_missing", message=_("Write what you saw."))
    return _attach(
        run_id=run_id,
        item_id=item_id,
        kind=Kind.NOTE,
        title=_titled(title),
        payload={"text": text},
        about=git_sha,
        actor=actor,
        now=now,
    )


def attach_file(
    *,
    run_id: int,
    item_id: int,
    name: str,
    data: bytes,
    actor: Actor,
    now: datetime,
    title: str = "",
) -> Evidence:
    """Keep a file of at most 2 MB as evidence, under its SHA-256; raises Refused."""
    if not data:
        raise Refused("file_empty", _("The file is empty. Choose another."))
    if len(data) > MAX_FILE_BYTES:
        raise Refused("file_too_big", _("The file is bigger than 2 MB. Give a link."))
    name = PurePosixPath(name.replace("\\", "/").replace("\x00", "")).name
    return _attach(
        run_id=run_id,
        item_id=item_id,
        kind=Kind.FILE,
        title=_titled(title),
        payload={"bytes": len(data)},
        sha=sha256(data).hexdigest(),
        rest={"file": data, "file_name": (name or "file")[-MAX_FILE_NAME:]},
        actor=actor,
        now=now,
    )


def attach_payload(
    *,
    run_id: int,
    item_id: int,
    title: str,
    payload: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    verdict: str = Verdict.PASSED,
    url: str = "",
    git_sha: str | None = None,
) -> Evidence:
    """Keep what a program sends, such as a report of tests; raises Refused.

    A later payload of the same title stands for the one before. `git_sha` as for a
    link: a pipeline that is slow must not vouch for a commit that it never saw.
    """
    if verdict not in {Verdict.PASSED, Verdict.FAILED, Verdict.UNKNOWN}:
        raise Refused("bad_verdict", _("The verdict is passed, failed or unknown."))
    try:
        size = len(canonical(payload))
    except (ValueError, RecursionError) as error:
        raise Refused(
            "bad_payload", _("The payload is no JSON object that can be kept.")
        ) from error
    if size > MAX_PAYLOAD_BYTES:
        raise Refused(
            "payload_too_big",
            _("The payload is bigger than 64 kB. Send what matters, and a link."),
        )
    return _attach(
        run_id=run_id,
        item_id=item_id,
        kind=Kind.CI_PAYLOAD,
        title=_titled(title),
        payload=payload,
        rest={"verdict": verdict, "url": url},
        basis={"payload": payload, "verdict": verdict},
        about=git_sha,
        actor=actor,
        now=now,
    )


def record_finding(
    *,
    run_id: int,
    item_id: int,
    revision: int,
    git_sha: str,
    finding: Finding,
    actor: Actor,
    now: datetime,
    seen: int | None = None,
) -> Evidence:
    """Keep what a verifier found for one revision of an item and one commit.

    `seen`: the number of the last finding when the look began, 0 for none; None takes
    any. The chain gets an entry when the outcome is another than before. Raises Refused
    with `moved_on` when the item or the run has become another meanwhile, or another
    look, begun later or faster, has said something.
    """
    with transaction.atomic():
        run = locked_run(run_id)
        item = item_of(run, item_id)
        if (item.revision, run.git_sha) != (revision, git_sha):
            raise Refused("moved_on", _("The item has changed. Verify it again."))
        last = last_finding(item, run.git_sha)
        if seen is not None and seen != (last.pk if last else 0):
            raise Refused("moved_on", _("The item has changed. Verify it again."))
        if item.lease_until is not None:
            RunItem.objects.filter(pk=item.pk).update(lease_until=None)
        looked_at = plain(finding.looked_at)
        payload = {
            "verifier": item.verifier,
            "looked_at": looked_at,
            "observed": plain(finding.observed),
            "code": finding.code,
            "values": plain(finding.values),
        }
        basis = digest(
            {
                "verifier": item.verifier,
                "looked_at": looked_at,
                "verdict": finding.verdict,
            }
        )
        row = _create(
            run,
            item,
            actor,
            now,
            kind=Kind.VERIFICATION,
            payload=payload,
            sha256=digest(payload),
            basis_sha256=basis,
            verdict=finding.verdict,
        )
        if last is None or last.basis_sha256 != basis:
            details = {
                **_details(item, row),
                "verdict": row.verdict,
                "code": finding.code,
            }
            append("item_verified", run, actor, details, now)
    return row


def last_finding(item: RunItem, git_sha: str) -> Evidence | None:
    """Return what was found last of an item as it is, for a commit."""
    return (
        Evidence.objects.standing()
        .filter(
            item=item,
            kind=Kind.VERIFICATION,
            item_revision=item.revision,
            git_sha=git_sha,
        )
        .order_by("-pk")
        .defer("file")
        .first()
    )


def withdraw(
    *, run_id: int, evidence_id: int, reason: str, actor: Actor, now: datetime
) -> Evidence:
    """Let evidence count no more; it stays readable. Raises Refused."""
    reason = written(
        reason, code="reason_missing", message=_("Say why it is withdrawn.")
    )
    with transaction.atomic():
        run = locked_run(run_id)
        row = (
            Evidence.objects.filter(pk=evidence_id, item__run=run)
            .select_related("item")
            .defer("file")
            .first()
        )
        if row is None:
            raise Refused(
                "foreign_evidence",
                _("This evidence belongs to another run. Open that one."),
            )
        if row.kind == Kind.VERIFICATION:
            raise Refused(
                "found_by_portal",
                _("The portal found this itself. Verify the item again instead."),
            )
        if row.withdrawn_at is not None:
            raise Refused("withdrawn_already", _("It is withdrawn already."))
        row.withdrawn_at = now
        row.withdrawn_by = actor.user
        row.withdrawn_by_name = actor.name
        row.withdrawn_reason = reason
        row.save(
            update_fields=[
                "withdrawn_at",
                "withdrawn_by",
                "withdrawn_by_name",
                "withdrawn_reason",
            ]
        )
        details = {**_details(row.item, row), "reason": reason}
        append("evidence_withdrawn", run, actor, details, now)
    return row


def _attach(
    *,
    run_id: int,
    item_id: int,
    kind: str,
    title: str,
    payload: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    sha: str = "",
    basis: Mapping[str, Any] | None = None,
    rest: Mapping[str, Any] | None = None,
    about: str | None = None,
) -> Evidence:
    kept = plain(payload)
    sha = sha or digest(kept)
    with transaction.atomic():
        run = locked_run(run_id)
        item = item_of(run, item_id)
        if about is not None and about != run.git_sha:
            raise Refused(
                "other_commit",
                _("The run is at another commit: %(git_sha)s. Send what is about that.")
                % {"git_sha": run.git_sha},
            )
        row = _create(
            run,
            item,
            actor,
            now,
            kind=kind,
            title=title,
            payload=kept,
            sha256=sha,
            basis_sha256=digest(basis) if basis else sha,
            **(rest or {}),
        )
        append("evidence_added", run, actor, _details(item, row), now)
    return row


def _create(
    run: ChecklistRun, item: RunItem, actor: Actor, now: datetime, **values: Any
) -> Evidence:
    return Evidence.objects.create(
        item=item,
        item_revision=item.revision,
        git_sha=run.git_sha,
        captured_at=now,
        captured_by=actor.user,
        captured_by_name=actor.name,
        **values,
    )


def _details(item: RunItem, row: Evidence) -> dict[str, Any]:
    return {
        "item": item.key,
        "revision": row.item_revision,
        "git_sha": row.git_sha,
        "evidence": row.pk,
        "kind": row.kind,
        "sha256": row.sha256,
        "basis_sha256": row.basis_sha256,
        "captured_by": row.captured_by_id,
    }


def _titled(title: str) -> str:
    title = title.replace("\x00", "").strip()
    if len(title) > MAX_TITLE:
        raise Refused(
            "title_too_long",
            _("That is too long. Use at most %(count)s characters.")
            % {"count": MAX_TITLE},
        )
    return title
