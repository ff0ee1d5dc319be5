"""`manage.py seed`: the guide's configuration, each row given once."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from t4g_portal.configuration.problems import UnableToImport
from t4g_portal.configuration.seeding import GUIDE, seed


class Command(BaseCommand):
    help = (
        "Create the guide's configuration. Rows that were edited or deleted since stay "
        "as they are."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.PORTAL_SEED:
            self.stdout.write("PORTAL_SEED is off: nothing is seeded.")
            return
        try:
            seeded = seed(now=timezone.now())
        except UnableToImport as error:
            for problem in error.problems:
                self.stderr.write(f"{GUIDE.name}:{problem.line}: {problem.message}")
            raise CommandError("The guide's configuration can't be read.") from error
        made = ", ".join(
            f"{section.created_count} {section.name.replace('_', ' ')}"
            for section in seeded.report.sections
            if section.created_count
        )
        if made:
            self.stdout.write(f"Seeded from the guide: {made}.")
        for problem in seeded.left_out:
            self.stderr.write(
                f"{GUIDE.name}:{problem.line}: left out: {problem.message}"
            )
