"""`manage.py config export` and `manage.py config import FILE`."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from t4g_portal.configuration.document import MAX_BYTES
from t4g_portal.configuration.exporting import export
from t4g_portal.configuration.importing import import_configuration
from t4g_portal.configuration.problems import UnableToImport


class Command(BaseCommand):
    help = (
        "Write the configuration as YAML, or read it back. Secrets are never written."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        writer = actions.add_parser("export", help="Write the configuration as YAML.")
        writer.add_argument(
            "--output", type=Path, metavar="FILE", help="Where to; default: stdout."
        )
        reader = actions.add_parser(
            "import", help="Make the portal say what a file says, and print the diff."
        )
        reader.add_argument("file", metavar="FILE", help="The file; - reads stdin.")
        reader.add_argument(
            "--dry-run", action="store_true", help="Print the diff, write nothing."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "export":
            self._export(options["output"])
        else:
            self._import(options["file"], is_dry_run=options["dry_run"])

    def _export(self, output: Path | None) -> None:
        text = export()
        if output is None:
            self.stdout.write(text, ending="")
            return
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{output}: {error.strerror}.") from error

    def _import(self, file: str, *, is_dry_run: bool) -> None:
        try:
            data = _read(file)
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from error
        try:
            report = import_configuration(
                data=data,
                environ=os.environ,
                is_dry_run=is_dry_run,
                source="" if file == "-" else Path(file).name,
            )
        except UnableToImport as error:
            for problem in error.problems:
                self.stderr.write(f"{file}:{problem.line}: {problem.message}")
            count = len(error.problems)
            raise CommandError(
                f"{count} problem{'s' if count > 1 else ''}; nothing was written."
            ) from error
        for line in report.lines():
            self.stdout.write(line)
        if report.is_empty:
            self.stdout.write("Nothing to change.")
        elif is_dry_run:
            self.stdout.write("Dry run: nothing was written.")


def _read(file: str) -> bytes:
    """Return no more than it takes to see that a file is too large."""
    if file == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with Path(file).open("rb") as source:
        return source.read(MAX_BYTES + 1)
