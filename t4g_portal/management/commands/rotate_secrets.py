"""`manage.py rotate_secrets`: stored secrets under the newest key, while the portal runs."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from t4g_portal.lib.secrets.rotation import outdated, rotate
from t4g_portal.lib.secrets.sealing import BOUND, UNBOUND, writing_key_id


class Command(BaseCommand):
    help = (
        "Re-encrypts stored secrets with the first key of PORTAL_DATA_KEYS and binds "
        "them to their rows. Safe on a running portal; may be stopped and run again."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help="change nothing; say what is left to do, and exit with 1 if anything is",
        )
        parser.add_argument(
            "--batch", type=int, default=100, metavar="N", help="rows a transaction"
        )
        parser.add_argument(
            "--unbind",
            action="store_true",
            help="undo the binding, before going back to a version that doesn't know it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError when something is left: `--check`, or an unreadable one."""
        version = UNBOUND if options["unbind"] else BOUND
        if options["batch"] < 1:
            raise CommandError("--batch: give at least 1.")
        if options["check"]:
            self._check(version)
        else:
            self._rotate(version, options["batch"])

    def _check(self, version: str) -> None:
        left = outdated(version=version)
        for one in left:
            self.stdout.write(
                f"{one.field}: {one.count} under key {one.key_id} ({one.version})"
            )
        if left:
            raise CommandError(
                f"{sum(one.count for one in left)} secrets are left. "
                "Run `manage.py rotate_secrets`."
            )
        self.stdout.write(f"All secrets are under key {writing_key_id()}.")

    def _rotate(self, version: str, batch_size: int) -> None:
        done: dict[str, int] = {}
        unreadable_count = 0
        for step in rotate(batch_size=batch_size, version=version):
            done[step.field] = done.get(step.field, 0) + step.done_count
            self.stdout.write(f"{step.field}: {done[step.field]} done")
            for pk, reason in step.unreadable:
                unreadable_count += 1
                self.stderr.write(f"{step.field} of row {pk}: {reason}")
        if unreadable_count:
            raise CommandError(
                f"{unreadable_count} secrets can't be read. Put their key back into "
                "PORTAL_DATA_KEYS, or enter them again in the admin."
            )
        self.stdout.write(f"All secrets are under key {writing_key_id()}.")
