"""Verify a checklist run's bundle offline: python3 verify_bundle.py FILE [SEQ:HASH …]

Needs Python 3.9 alone. Ends with 0 when all holds together, else with 1 and what doesn't.
With SEQ:HASH, a head that was mailed, the chain is the one that others saw. Not covered:
titles, and how the portal judged the items.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

ENTRY = ("version", "seq", "at", "actor", "action", "subject", "details")
SIGNED = ("printed_name", "role", "meaning", "statement_hash", "rests_on", "comment")
SIGNS = ("signed", "waiver_requested", "waiver_approved")


def digest(value):
    form = {"ensure_ascii": False, "sort_keys": True, "separators": (",", ":")}
    return sha256(json.dumps(value, **form).encode()).hexdigest()


def chain_faults(chain, heads):
    """Each hash is over the version, the hash before, and the digest of the body."""
    before, seq = chain["before"], None
    for entry in chain["entries"]:
        if seq is not None and entry["seq"] != seq + 1:
            yield f"entry {seq + 1} is missing"
        seq, version = entry["seq"], bytes([entry["version"]])
        body = entry.get("body_sha256") or digest({key: entry[key] for key in ENTRY})
        if sha256(version + bytes.fromhex(before + body)).hexdigest() != entry["hash"]:
            yield f"entry {seq} is not what its hash says, or does not follow on"
        before = entry["hash"]
    hashes = {entry["seq"]: entry["hash"] for entry in chain["entries"]}
    for seq, known in heads:
        if hashes.get(seq) != known:
            yield f"entry {seq} is not here with the hash that was mailed"


def evidence_faults(proof, acts):
    """What was looked at is what stands here, and the chain has it."""
    content, verdict = proof["payload"], proof["verdict"]
    found, basis, data = digest(content), proof["sha256"], proof["file_base64"]
    if proof["kind"] == "file":
        found = sha256(b64decode(data)).hexdigest() if data else proof["sha256"]
    elif proof["kind"] == "verification":
        kept = {"looked_at": content["looked_at"], "verdict": verdict}
        basis = digest({"verifier": content["verifier"], **kept})
    elif proof["kind"] == "ci_payload":
        basis = digest({"payload": content, "verdict": verdict})
    if [found, basis] != [proof["sha256"], proof["basis_sha256"]]:
        yield "it is not what its hash says"
    told = [act["details"] for act in acts]
    own = [one["sha256"] for one in told if one.get("evidence") == proof["id"]]
    if basis not in [one.get("basis_sha256") for one in told] or set(own) - {found}:
        yield "the chain does not have it so"


def signature_faults(row, text_hash, acts):
    """The statement is what was signed, of this very text, and the chain has it."""
    if digest(row["statement"]) != row["statement_hash"]:
        yield "the statement is not what its hash says"
    if row["statement"]["content_hash"] != text_hash:
        yield "it is of another text"
    mine = [act for act in acts if act["details"].get("sign_off") == row["id"]]
    signed = [act for act in mine if act["action"].split(".")[1] in SIGNS]
    want = [row["signed_at"], *[row[key] for key in SIGNED]]
    if [[a["at"], *[a["details"][k] for k in SIGNED]] for a in signed] != [want]:
        yield "the chain does not have it so"
    if (len(mine) > len(signed)) != bool(row["revoked_at"]):
        yield "the chain says otherwise of its being revoked"


def main(path, *heads):
    bundle = json.loads(Path(path).read_bytes())
    chain, subject = bundle["chain"], f"run:{bundle['run']['id']}"
    known = [(head["seq"], head["hash"]) for head in chain["mailed_heads"]]
    known += [(int(seq), text) for seq, text in (head.split(":") for head in heads)]
    acts = [entry for entry in chain["entries"] if entry.get("subject") == subject]
    faults = list(chain_faults(chain, known))
    for item in bundle["items"]:
        name, text = f"item {item['asked']['key']}", item["content_hash"]
        if digest(item["asked"]) != text:
            faults.append(f"{name}: its text is not what its hash says")
        for row in item["evidence"]:
            found = evidence_faults(row, acts)
            faults += [f"{name}, evidence {row['id']}: {one}" for one in found]
        for row in item["sign_offs"]:
            found = signature_faults(row, text, acts)
            faults += [f"{name}, signature {row['id']}: {one}" for one in found]
    sys.stdout.write("\n".join(faults or [f"{subject} holds together."]) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 1 else __doc__)
