"""Verify a checklist run's bundle offline: python3 verify_bundle.py FILE [SEQ:HASH …]

Needs Python 3.9 alone. Ends with 0 when all holds together, else with 1 and what doesn't.
With SEQ:HASH, a head that was mailed, the chain up to it is the one that others saw. Not
covered: titles, how the portal judged, and acts left out. The file can give an act, such
as a revocation, by its digest alone or stop before it; then the portal's chain shows it.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

ENTRY = ("version", "seq", "at", "actor", "action", "subject", "details")
SIGNED = ("printed_name", "role", "meaning", "statement_hash", "rests_on", "comment")
RUN = ("service", "environment", "template", "git_sha", "state")


def digest(value):
    form = {"ensure_ascii": False, "sort_keys": True, "separators": (",", ":")}
    return sha256(json.dumps(value, **form).encode()).hexdigest()


def chain_faults(before, entries, heads):
    for entry in entries:
        clear = {key: entry[key] for key in ENTRY if "subject" in entry}
        linked = before + (digest(clear) if clear else entry["body_sha256"])
        version, before = bytes([entry["version"]]), entry["hash"]
        if sha256(version + bytes.fromhex(linked)).hexdigest() != before:
            yield f"entry {entry['seq']} is not what its hash says, or does not follow on"
    for head in heads - {f"{entry['seq']}:{entry['hash']}" for entry in entries}:
        yield f"entry {head.split(':')[0]} is not here with the hash that was mailed"


def evidence_faults(proof, about, acts):
    kind, content, basis = proof["kind"], proof["payload"], proof["sha256"]
    found, data = digest(content), proof["file_base64"]
    if kind == "file":
        found = sha256(b64decode(data)).hexdigest() if data else basis
    elif kind in ("verification", "ci_payload"):
        looked = {key: content.get(key) for key in ("verifier", "looked_at")}
        kept = {"payload": content} if kind == "ci_payload" else looked
        basis = digest({**kept, "verdict": proof["verdict"]})
    if [found, basis] != [proof["sha256"], proof["basis_sha256"]]:
        yield "it is not what its hash says"
    own = [act for act in acts if act["details"].get("evidence") == proof["id"]]
    told = [act["details"].get("basis_sha256") for act in acts]
    gone = [act["at"] for act in own if act["action"].endswith("withdrawn")]
    shas = {act["details"]["sha256"] for act in own} | {found}
    if basis not in told or len(shas) > 1 or [None, *gone][-1] != proof["withdrawn_at"]:
        yield "the chain does not have it so, or says otherwise of its being withdrawn"


def signature_faults(row, about, acts):
    said = row["statement"]
    if digest(said) != row["statement_hash"] or not about.items() <= said.items():
        yield "the statement is not what its hash says, or of another text, item or run"
    mine = [act for act in acts if act["details"].get("sign_off") == row["id"]]
    signed = [act for act in mine if not act["action"].endswith("revoked")]
    want = [row["signed_at"], *[row[key] for key in SIGNED]]
    have = [[act["at"], *[act["details"][key] for key in SIGNED]] for act in signed]
    if have != [want] or (mine != signed) != bool(row["revoked_at"]):
        yield "the chain does not have it so, or says otherwise of its being revoked"


def main(path, *heads):
    bundle = json.loads(Path(path).read_bytes())
    run, chain, entries = bundle["run"], bundle["chain"], bundle["chain"]["entries"]
    known = {*heads, *(f"{one['seq']}:{one['hash']}" for one in chain["mailed_heads"])}
    acts = [one for one in entries if one.get("subject") == f"run:{run['id']}"]
    faults = list(chain_faults(chain["before"], entries, known))
    told = {"state": "open"}
    runs = [(act["action"][14:], act) for act in acts if ".run_" in act["action"]]
    for name, act in runs:
        told.update(act["details"] if name in ("opened", "moved") else {"state": name})
        told["git_sha"] = told.get("to", told.get("git_sha"))
    faults += [f"run: another {k} in the chain" for k in RUN if told.get(k) != run[k]]
    for item in bundle["items"]:
        about = {"item": item["asked"]["key"], "content_hash": digest(item["asked"])}
        about.update(run=run["id"], **{key: run[key] for key in RUN[:2]})
        if about["content_hash"] != item["content_hash"]:
            faults.append(f"item {about['item']}: its text is not what its hash says")
        for part, of in (
            ("evidence", evidence_faults),
            ("sign_offs", signature_faults),
        ):
            rows = [
                (row["id"], one) for row in item[part] for one in of(row, about, acts)
            ]
            faults += [f"item {about['item']}, {part} {pk}: {one}" for pk, one in rows]
    sys.stdout.write("\n".join(faults or [f"run:{run['id']} holds together."]) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 1 else __doc__)
