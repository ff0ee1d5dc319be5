"""Import: read everything, check everything, and only then write, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from django.db import connection, transaction
from django.utils import timezone

from incidents.models import Schedule
from incidents.oncall import recording, who
from incidents.oncall.acting import gap_sentences
from t4g_portal.configuration import document
from t4g_portal.configuration.checking import find_problems
from t4g_portal.configuration.problems import UnableToImport
from t4g_portal.configuration.reading import read_rows
from t4g_portal.configuration.report import Report
from t4g_portal.configuration.sections import SECTIONS
from t4g_portal.configuration.stock import Stock
from t4g_portal.configuration.writing import Writer
from t4g_portal.lib.history import Via, acting

# Any constant number: it names the lock among those of the whole database.
_LOCK = 0x7434675F63666731


def import_configuration(
    *,
    data: bytes,
    environ: Mapping[str, str],
    is_dry_run: bool = False,
    source: str = "",
) -> Report:
    """Make the database say what a file says; raises UnableToImport.

    A row of the file is created or brought to exactly what the file says, fields that
    it doesn't name to their defaults. Rows that the file doesn't name stay as they
    are, and so do secrets without `secret_env`, whose value `environ` gives.
    A dry run does all of it and takes it back, so it finds every problem. `source`: the
    file's name, for the history. The report warns of time that is left without anybody
    on call; a dry run does so before it is saved.
    """
    root = document.read(data)
    reading = read_rows(root=root, sections=SECTIONS, environ=environ)
    with transaction.atomic(), acting(via=Via.FILE, by=source):
        lock_configuration()
        stock = Stock.load(SECTIONS)
        problems = [
            *reading.problems,
            *find_problems(sections=SECTIONS, rows=reading.rows, stock=stock),
        ]
        if problems:
            raise UnableToImport(problems)
        # Who was on call until now stays so, whatever the file says.
        now = timezone.now()
        recording.record_all(now=now)
        ids = list(Schedule.objects.values_list("pk", flat=True))
        before = who.plan_of(ids, since=now)
        writer = Writer(stock=stock)
        report = writer.write(sections=SECTIONS, rows=reading.rows)
        if writer.problems:
            raise UnableToImport(writer.problems)
        gaps = gap_sentences(before, who.plan_of(ids, since=now), now)
        report = replace(report, warnings=tuple(gaps))
        if is_dry_run:
            transaction.set_rollback(True)
    return report


def lock_configuration() -> None:
    """Let one import or seed after the other run, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
