"""A run's bundle is verified by a script that knows nothing of the portal."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from checklists import services
from checklists.actors import person
from checklists.auditing.anchors import send_due
from checklists.bundle import bundle_of
from checklists.models import ChecklistRun
from t4g_portal.lib.audit.appending import head
from tests.checklists.making import (
    OTHER_SHA,
    Found,
    approve_waiver,
    ask_waiver,
    make_run,
    make_signer,
    sign,
)
from tests.checklists.test_audit_anchors import make_anchor, make_entry

pytestmark = pytest.mark.django_db

# Not long after 06:00 in Paris.
NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)
SCRIPT = Path(settings.BASE_DIR) / "scripts" / "verify_bundle.py"


def make_signed_run() -> ChecklistRun:
    """A run with every kind of evidence, signatures, one revoked, and a waiver."""
    ada, bob = make_signer(first_name="Ada"), make_signer(first_name="Bob")
    run = make_run(
        {
            "kind": "rule",
            "verifier": "monitor_up",
            "parameters": {"max_latency_ms": 500},
        },
        {"title": "É — “vu”"},
        {"signatures_required": 2},
        now=NOW,
        opened_by=ada,
    )
    rule, proven, waived = run.items.order_by("position")
    for _each in range(3):
        services.evidence.record_finding(
            run_id=run.pk,
            item_id=rule.pk,
            revision=1,
            git_sha=run.git_sha,
            finding=Found(looked_at={"monitor": 1}, observed={"ms": 12.5}),
            actor=person(ada),
            now=NOW,
        )
        make_entry(now=NOW)
    sign(rule, ada, now=NOW, comment="Vu")
    to: dict[str, Any] = {
        "run_id": run.pk,
        "item_id": proven.pk,
        "actor": person(ada),
        "now": NOW,
    }
    services.evidence.attach_note(**to, text="Looked at the console")
    link = services.evidence.attach_link(
        **to, url="https://ci.example.org/1", title="CI"
    )
    services.evidence.withdraw(
        run_id=run.pk,
        evidence_id=link.pk,
        reason="Of another build",
        actor=person(ada),
        now=NOW,
    )
    services.evidence.attach_file(**to, name="shot.png", data=b"\x89PNG\x00")
    services.evidence.attach_payload(**to, title="Tests", payload={"passed": 12})
    first = sign(proven, ada, now=NOW)
    services.signing.revoke(
        run_id=run.pk, sign_off_id=first.pk, reason="Too early", user=ada, now=NOW
    )
    sign(proven, bob, now=NOW, meaning="approved")
    approve_waiver(ask_waiver(waived, ada, now=NOW), bob, now=NOW)
    return run


def bundle(run: ChecklistRun) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bundle_of(run_id=run.pk, now=NOW))
    return found


def verified(made: dict[str, Any], directory: Path, *heads: str) -> tuple[int, str]:
    path = directory / "bundle.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    answer = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), str(path), *heads],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={"PYTHONUTF8": "1"},
        check=False,
    )
    assert not answer.stderr, answer.stderr
    return answer.returncode, answer.stdout


def test_bundle_holds_together(tmp_path):
    run = make_signed_run()

    code, said = verified(bundle(run), tmp_path)

    assert (code, said) == (0, f"run:{run.pk} holds together.\n")


def test_run_that_moved_and_was_closed_holds_together(tmp_path):
    ada = make_signer()
    run = make_run({}, now=NOW, opened_by=ada)
    services.runs.move_to_commit(
        run_id=run.pk, git_sha=OTHER_SHA, actor=person(ada), now=NOW
    )
    sign(run.items.get(), ada, now=NOW)
    services.runs.close(run_id=run.pk, actor=person(ada), now=NOW)

    made = bundle(run)

    assert verified(made, tmp_path) == (0, f"run:{run.pk} holds together.\n")
    made["run"]["git_sha"] = run.git_sha
    assert verified(made, tmp_path)[0] == 1


def test_statement_of_another_item_or_service_is_found(tmp_path):
    """Even one whose act and hashes agree, as where the portal was made to write it."""
    made = bundle(make_signed_run())
    acts = [entry for entry in made["chain"]["entries"] if "subject" in entry]
    opened = next(act for act in acts if act["action"] == "checklist.run_opened")
    made["run"]["service"] = opened["details"]["service"] = "other"

    said = verified(made, tmp_path)[1]

    assert said.count("of another text, item or run") == 5


def test_service_that_was_renamed_stands_in_it_as_when_it_was_opened(tmp_path):
    run = make_signed_run()
    run.service.slug = "renamed"
    run.service.save()

    assert verified(bundle(run), tmp_path)[0] == 0


def test_whether_it_is_ready_is_said_of_open_runs_alone():
    ada = make_signer()
    run = make_run({}, now=NOW, opened_by=ada)
    sign(run.items.get(), ada, now=NOW)

    before = bundle(run)
    services.runs.close(run_id=run.pk, actor=person(ada), now=NOW)

    assert before["is_ready"] is True
    assert "is_ready" not in bundle(run)


def test_script_is_short_and_needs_the_standard_library_alone():
    text = SCRIPT.read_text()

    assert len(text.splitlines()) < 100
    imported = {line.split()[1] for line in text.splitlines() if "import " in line[:12]}
    assert {name.split(".")[0] for name in imported} <= set(sys.stdlib_module_names)


def test_others_stand_in_it_by_a_digest_alone():
    run = make_signed_run()

    entries = bundle(run)["chain"]["entries"]

    foreign = [entry for entry in entries if "body_sha256" in entry]
    assert len(foreign) == 3
    assert all(
        entry.keys() == {"seq", "version", "hash", "body_sha256"} for entry in foreign
    )
    assert [entry["seq"] for entry in entries] == list(
        range(entries[0]["seq"], entries[-1]["seq"] + 1)
    )


def test_no_address_and_no_number_of_an_account_of_others_is_in_it():
    run = make_signed_run()

    assert "address" not in json.dumps(bundle(run)["items"])


def test_head_that_was_mailed_later_is_in_it(tmp_path):
    run = make_signed_run()
    make_entry(now=NOW)
    make_anchor()
    send_due(now=NOW)
    mailed = head()
    make_entry(now=NOW)

    made = bundle(run)

    assert made["chain"]["entries"][-1]["seq"] == mailed.seq
    assert [one["hash"] for one in made["chain"]["mailed_heads"]] == [mailed.hash]
    assert verified(made, tmp_path, f"{mailed.seq}:{mailed.hash}")[0] == 0
    code, said = verified(made, tmp_path, f"{mailed.seq}:{'0' * 64}")
    assert (code, said) == (
        1,
        f"entry {mailed.seq} is not here with the hash that was mailed\n",
    )


def test_files_beyond_the_bound_stand_in_it_by_their_hash(tmp_path, monkeypatch):
    monkeypatch.setattr("checklists.bundle.MAX_FILE_BYTES", 3)
    made = bundle(make_signed_run())

    files = [proof for item in made["items"] for proof in item["evidence"]]

    assert all(proof["file_base64"] is None for proof in files)
    assert verified(made, tmp_path)[0] == 0


def _entry(made: dict[str, Any], action: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        entry for entry in made["chain"]["entries"] if entry.get("action") == action
    )
    return found


def _proof(made: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        proof
        for item in made["items"]
        for proof in item["evidence"]
        if proof["kind"] == kind
    )
    return found


def _sign_off(made: dict[str, Any], number: int = 0) -> dict[str, Any]:
    rows = [row for item in made["items"] for row in item["sign_offs"]]
    found: dict[str, Any] = rows[number]
    return found


def _swap(made: dict[str, Any]) -> None:
    entries = made["chain"]["entries"]
    entries[2], entries[3] = entries[3], entries[2]


def _forge_act(made: dict[str, Any]) -> None:
    """Write an act into an entry of somebody else's, whose digest stays."""
    signed = _entry(made, "checklist.signed")
    foreign = next(
        entry for entry in made["chain"]["entries"] if "body_sha256" in entry
    )
    clear = {key: signed[key] for key in ("at", "actor", "action", "subject")}
    details = {**signed["details"], "sign_off": 999_999}
    foreign.update(clear, details=details)
    row = {**_sign_off(made), "id": 999_999}
    made["items"][0]["sign_offs"].append(row)


TAMPERINGS: dict[str, Callable[[dict[str, Any]], object]] = {
    "name in the chain": lambda b: _entry(b, "checklist.signed")["actor"].update(
        name="Eve"
    ),
    "time in the chain": lambda b: _entry(b, "checklist.signed").update(
        at="2026-01-01T00:00:00.000000Z"
    ),
    "entry dropped": lambda b: b["chain"]["entries"].pop(2),
    "entries swapped": _swap,
    "digest of another's entry": lambda b: next(
        entry for entry in b["chain"]["entries"] if "body_sha256" in entry
    ).update(body_sha256="0" * 64),
    "text of an item": lambda b: b["items"][1]["asked"].update(title="Other"),
    "verdict": lambda b: _proof(b, "verification").update(verdict="failed"),
    "figures": lambda b: _proof(b, "verification")["payload"].update(observed={}),
    "note": lambda b: _proof(b, "note")["payload"].update(text="Other"),
    "payload": lambda b: _proof(b, "ci_payload")["payload"].update(passed=13),
    "verdict of a program": lambda b: _proof(b, "ci_payload").update(verdict="failed"),
    "file": lambda b: _proof(b, "file").update(
        file_base64=base64.b64encode(b"other").decode()
    ),
    "signer": lambda b: _sign_off(b).update(printed_name="Eve"),
    "comment": lambda b: _sign_off(b).update(comment="All is well"),
    "meaning": lambda b: _sign_off(b).update(meaning="approved"),
    "time of signing": lambda b: _sign_off(b).update(signed_at="2026-01-01"),
    "statement": lambda b: _sign_off(b)["statement"].update(git_sha="0" * 40),
    "revocation hidden": lambda b: _sign_off(b, 1).update(revoked_at=None),
    "act forged in another's entry": _forge_act,
    "service": lambda b: b["run"].update(service="other"),
    "environment": lambda b: b["run"].update(environment="staging"),
    "commit": lambda b: b["run"].update(git_sha="0" * 40),
    "state": lambda b: b["run"].update(state="closed"),
    "withdrawal made up": lambda b: _proof(b, "note").update(
        withdrawn_at="2026-11-27T08:00:00.000000Z"
    ),
    "withdrawal hidden": lambda b: _proof(b, "link").update(withdrawn_at=None),
    "signature made up": lambda b: b["items"][0]["sign_offs"].append(
        {**_sign_off(b), "id": 999_999}
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_whatever_was_changed_is_found(tmp_path, name):
    made = bundle(make_signed_run())
    tampered = copy.deepcopy(made)
    TAMPERINGS[name](tampered)

    code, said = verified(tampered, tmp_path)

    assert tampered != made
    assert code == 1, said


def test_run_that_is_unknown_has_no_bundle():
    with pytest.raises(ChecklistRun.DoesNotExist):
        bundle_of(run_id=1, now=NOW)
