"""`manage.py kpi_check_source NAME`: try what a data source must not allow."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from kpis.models import DataSource
from kpis.reading import UnableToRead
from kpis.sources.checking import Check, check_source


class Command(BaseCommand):
    help = (
        "Ask data sources, and try on PostgreSQL what a reader must not be able to do;"
        " everything is rolled back. Exits with 1 when one is unsafe or silent."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "names", nargs="*", metavar="NAME", help="Default: all that are enabled."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        bad_count = sum(
            not self._is_good(source) for source in _sources(options["names"])
        )
        if bad_count:
            raise CommandError(f"{bad_count} can't be used as they are.")

    def _is_good(self, source: DataSource) -> bool:
        try:
            check = check_source(source=source, now=timezone.now())
        except UnableToRead as error:
            detail = f" ({error.detail})" if error.detail else ""
            self.stdout.write(f"{source.name}: no answer. {error.message}{detail}")
            return False
        self.stdout.write(f"{source.name}: {'safe' if check.is_safe else 'NOT SAFE'}")
        self._tell(check)
        return check.is_safe

    def _tell(self, check: Check) -> None:
        for problem in check.problems:
            self.stdout.write(f"  ! {problem}")
        for hint in check.advice:
            self.stdout.write(f"  - {hint}")


def _sources(names: list[str]) -> list[DataSource]:
    if not names:
        return list(DataSource.objects.filter(is_enabled=True).order_by("name"))
    found = {row.name: row for row in DataSource.objects.filter(name__in=names)}
    missing = [name for name in names if name not in found]
    if missing:
        raise CommandError(f"There is no data source called {missing[0]!r}.")
    return [found[name] for name in names]
