"""`manage.py audit_verify`: read the audit chain again and name the first bad entry."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from checklists.auditing import checks
from t4g_portal.lib.audit.chain import Link
from t4g_portal.lib.audit.verifying import Report, verify

_TELL_EVERY_S = 2.0


class Command(BaseCommand):
    help = (
        "Verify every entry of the audit chain, and that each head that was mailed is "
        "still in it. Exits with 1 and names the first entry that is wrong."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--head",
            action="append",
            type=_head,
            default=[],
            metavar="SEQ:HASH",
            help="A head from a mail that you kept. May be given several times.",
        )
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        parser.add_argument(
            "--note",
            action="store_true",
            help=(
                "Also note the outcome as the nightly check does, which raises or ends "
                "the alert. Without --head."
            ),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["note"] and options["head"]:
            raise CommandError("--note compares the heads that the portal knows alone.")
        began = time.monotonic()
        report = verify(
            known=[*checks.mailed_heads(), *options["head"]],
            on_way=None if options["json"] else self._on_way(),
        )
        took_s = time.monotonic() - began
        if options["note"]:
            checks.note(report=report, now=timezone.now())
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(report, took_s)))
        else:
            self._tell(report, took_s)
        if report.fault is not None:
            raise CommandError(
                f"Entry {report.fault.seq} is wrong: {report.fault.wrong.label}."
            )

    def _on_way(self) -> Any:
        told_at = time.monotonic()

        def tell(count: int) -> None:
            nonlocal told_at
            if time.monotonic() - told_at >= _TELL_EVERY_S:
                told_at = time.monotonic()
                self.stderr.write(f"{count} entries …")

        return tell

    def _tell(self, report: Report, took_s: float) -> None:
        rate = report.count / took_s if took_s else 0
        self.stdout.write(
            f"{report.count} entries in order, {report.compared_count} known heads"
            f" compared, {took_s:.1f} s ({rate:.0f}/s)."
        )
        if report.fault is None:
            self.stdout.write(
                f"Intact. Head {report.link.seq}:{report.link.hash}"
                if report.link.seq
                else "Intact: the chain has no entries yet."
            )
        else:
            self.stdout.write(f"Intact up to entry {report.link.seq}.")


def _as_json(report: Report, took_s: float) -> dict[str, Any]:
    fault = report.fault
    return {
        "is_intact": report.is_intact,
        "count": report.count,
        "intact_until": {"seq": report.link.seq, "hash": report.link.hash},
        "compared_count": report.compared_count,
        "took_s": round(took_s, 3),
        "fault": fault
        and {
            "seq": fault.seq,
            "wrong": fault.wrong.value,
        },
    }


def _head(text: str) -> Link:
    seq, _, known = text.strip().partition(":")
    is_hash = len(known) == 64 and not set(known.lower()) - set("0123456789abcdef")
    if not (seq.isascii() and seq.isdigit() and int(seq) > 0 and is_hash):
        raise ArgumentTypeError(
            f"{text!r} is no head, such as 1204:6b86b2… (64 digits)"
        )
    return Link(int(seq), known.lower())
