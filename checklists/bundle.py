"""A run as one JSON file that anybody can verify without the portal.

It holds the run, its items with evidence, signatures and waivers, and the part of the
audit chain from the run's first entry on: its own entries in full, those of others by
the digest of their body alone. `scripts/verify_bundle.py` verifies it.
"""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.db.models import Q, Sum
from django.db.models.functions import Length

from checklists.canonical import canonical
from checklists.content import ASKED
from checklists.models import AnchoredHead, ChecklistRun, Evidence, SignOff, Waiver
from checklists.queries import LoadedRun, load_run
from t4g_portal.lib.audit.appending import head
from t4g_portal.lib.audit.chain import body_of
from t4g_portal.lib.models import AuditEntry

FORM = "t4g-checklist-bundle"
VERSION = 1
# Files of a run beyond this stand in it by their hash alone.
MAX_FILE_BYTES = 32 * 1024 * 1024
# How far it looks past the run's last entry for a head that was mailed.
MAX_TAIL = 5_000


def bundle_of(*, run_id: int, now: datetime) -> bytes:
    """Return a run's bundle as canonical JSON; raises ChecklistRun.DoesNotExist."""
    loaded = load_run(run_id, now=now)
    return canonical(
        {
            "form": FORM,
            "version": VERSION,
            "made_at": now,
            "portal": settings.PORTAL_URL,
            "run": _run(loaded),
            # Nothing is to be released of a run that is over.
            **({"is_ready": loaded.standing.is_ready} if loaded.run.is_open else {}),
            "items": _items(loaded),
            "chain": _chain(loaded.run.subject),
        }
    )


def _run(loaded: LoadedRun) -> dict[str, Any]:
    run = loaded.run
    version = run.template_version
    return {
        "id": run.pk,
        "template": run.template_slug,
        "template_name": run.template_name,
        "template_version": version.number,
        "template_fingerprint": version.fingerprint,
        "service": _service(run),
        "environment": run.environment,
        **_picked(run, "git_sha deployment title state opened_by_name opened_at"),
        **_picked(run, "deadline ended_at ended_by_name end_reason"),
    }


def _service(run: ChecklistRun) -> str:
    """Return the service's short name as the chain has it; it may be another by now."""
    opened = AuditEntry.objects.filter(
        subject=run.subject, action="checklist.run_opened"
    ).first()
    return str(opened.details["service"]) if opened else run.service.slug


def _items(loaded: LoadedRun) -> list[dict[str, Any]]:
    numbers = [item.pk for item in loaded.items]
    signed: dict[int, list[SignOff]] = defaultdict(list)
    for sign_off in SignOff.objects.filter(item__in=numbers).order_by("pk"):
        signed[sign_off.item_id].append(sign_off)
    waivers: dict[int, list[Waiver]] = defaultdict(list)
    for waiver in Waiver.objects.filter(item__in=numbers).order_by("pk"):
        waivers[waiver.item_id].append(waiver)
    evidence = _evidence(numbers, signed)
    return [
        {
            # All that its hash is made of.
            "asked": {
                **_picked(item, " ".join(ASKED)),
                **_picked(item, "section_title section_title_fr"),
            },
            **_picked(item, "content_hash revision owner_name"),
            "state": loaded.standing.of(item.key).state,
            "evidence": evidence[item.pk],
            "sign_offs": [_sign_off(row) for row in signed[item.pk]],
            "waivers": [_waiver(row) for row in waivers[item.pk]],
        }
        for item in loaded.items
    ]


def _evidence(
    numbers: Sequence[int], signed: dict[int, list[SignOff]]
) -> dict[int, list[dict[str, Any]]]:
    """Return all that people and programs brought, and of the portal's own looks those
    that a signature rests on and the last of each item."""
    rested = {pk for rows in signed.values() for row in rows for pk in row.rests_on}
    is_look = Q(kind=Evidence.Kind.VERIFICATION)
    of_run = Evidence.objects.filter(item__in=numbers)
    last = of_run.filter(is_look).order_by("item", "-pk").distinct("item").values("pk")
    chosen = of_run.filter(~is_look | Q(pk__in=last) | Q(pk__in=rested))
    size = chosen.aggregate(sum=Sum(Length("file")))["sum"] or 0
    has_files = size <= MAX_FILE_BYTES
    rows = chosen.order_by("pk")
    if not has_files:
        rows = rows.defer("file")
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        data = bytes(row.file) if has_files and row.file is not None else None
        found[row.item_id].append(
            {
                "id": row.pk,
                **_picked(row, "item_revision git_sha kind title payload url"),
                **_picked(row, "file_name sha256 basis_sha256 verdict captured_at"),
                **_picked(row, "captured_by_name withdrawn_at withdrawn_by_name"),
                **_picked(row, "withdrawn_reason"),
                "file_base64": None if data is None else b64encode(data).decode(),
            }
        )
    return found


def _sign_off(row: SignOff) -> dict[str, Any]:
    return {
        "id": row.pk,
        **_picked(row, "item_revision printed_name role meaning statement"),
        **_picked(row, "statement_hash rests_on comment auth_method auth_at signed_at"),
        **_picked(row, "revoked_at revoked_by_name revoked_reason superseded_at"),
        "superseded_by": row.superseded_by_id,
        "waiver": row.waiver_id,
    }


def _waiver(row: Waiver) -> dict[str, Any]:
    return {
        "id": row.pk,
        **_picked(row, "item_revision git_sha reason risk compensating_control"),
        **_picked(row, "requested_by_name requested_at approved_by_name approved_at"),
        **_picked(row, "expires_at ended_at ended_as ended_by_name ended_reason"),
    }


def _chain(subject: str) -> dict[str, Any]:
    """Return the chain from the run's first entry to a head that was mailed since."""
    numbers = AuditEntry.objects.filter(subject=subject).order_by("seq")
    first = numbers.values_list("seq", "prev_hash").first()
    last = numbers.values_list("seq", flat=True).last()
    if first is None or last is None:
        return {"before": "", "entries": [], "mailed_heads": []}
    until = _until(last)
    mailed = AnchoredHead.objects.filter(seq__range=(first[0], until)).order_by("seq")
    return {
        "before": first[1],
        "entries": list(_entries(subject, first[0], until)),
        "mailed_heads": [
            {"seq": seq, "hash": known, "on": day}
            for seq, known, day in mailed.values_list("seq", "hash", "local_date")
        ],
    }


def _until(last: int) -> int:
    """Return the first head that was mailed after the run's last entry, else the end."""
    mailed = AnchoredHead.objects.filter(seq__range=(last, last + MAX_TAIL))
    found = mailed.order_by("seq").values_list("seq", flat=True).first()
    return found or min(head().seq, last + MAX_TAIL)


def _entries(subject: str, first: int, until: int) -> Iterator[dict[str, Any]]:
    rows = AuditEntry.objects.filter(seq__range=(first, until)).order_by("seq")
    for row in rows.iterator():
        link = {"seq": row.seq, "version": row.version, "hash": row.hash}
        if row.subject == subject:
            yield {
                **link,
                **_picked(row, "at action subject details"),
                "actor": {
                    "kind": row.actor_kind,
                    "id": row.actor_id,
                    "name": row.actor_name,
                },
            }
        else:
            yield {**link, "body_sha256": _digest(row)}


def _digest(row: AuditEntry) -> str:
    body = body_of(
        version=row.version,
        seq=row.seq,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        details=row.details,
    )
    return sha256(body).hexdigest()


def _picked(row: Any, names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names.split()}
