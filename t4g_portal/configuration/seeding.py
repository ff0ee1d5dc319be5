"""The guide's configuration, given once.

Each row is offered a single time: what somebody edited is not overwritten, what
somebody deleted does not come back, and a new version of the guide adds its new rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import transaction

from checklists.actors import engine
from checklists.models import ChecklistTemplate
from checklists.services import Refused, templates
from t4g_portal.configuration import document
from t4g_portal.configuration.importing import lock_configuration
from t4g_portal.configuration.problems import Problem, UnableToImport
from t4g_portal.configuration.reading import Reading, read_rows
from t4g_portal.configuration.report import Report
from t4g_portal.configuration.sections import SECTIONS
from t4g_portal.configuration.sections.checklists import CHECKLIST_TEMPLATES
from t4g_portal.configuration.stock import Stock
from t4g_portal.configuration.tables import RowSpec
from t4g_portal.configuration.writing import Writer
from t4g_portal.lib.history import Via, acting
from t4g_portal.lib.models import SeededKey

logger = logging.getLogger(__name__)

GUIDE = Path(__file__).with_name("guide.yaml")
# Who stands under the first versions of the guide's checklists.
_PUBLISHER = "Guide Token4Good"


@dataclass(frozen=True, slots=True)
class Seeded:
    """What a seed made, and the rows that the present configuration leaves no room for."""

    report: Report
    left_out: tuple[Problem, ...] = ()


def seed(*, now: datetime, path: Path = GUIDE) -> Seeded:
    """Create the rows of a file that were never offered before.

    The sections' own checks are left to the tests: the file is ours. Raises
    UnableToImport when it can't be read all the same.
    """
    root = document.read(path.read_bytes())
    reading = read_rows(root=root, sections=SECTIONS, environ={})
    if reading.problems:
        raise UnableToImport(reading.problems)
    if not _never_offered(reading):
        return Seeded(report=Report(sections=()))
    with transaction.atomic(), acting(via=Via.GUIDE):
        lock_configuration()
        return _offer(_never_offered(reading), now)


def _offer(rows: list[RowSpec], now: datetime) -> Seeded:
    stock = Stock.load(SECTIONS)
    writer = Writer(stock=stock, is_lenient=True)
    new = {
        section.name: [
            row
            for row in rows
            if row.table is section and stock.get(section, row.key) is None
        ]
        for section in SECTIONS
    }
    report = writer.write(sections=SECTIONS, rows=new)
    SeededKey.objects.bulk_create(
        SeededKey(key=_seeded_key(row), seeded_at=now) for row in rows
    )
    made = [str(row.key[0]) for row in new[CHECKLIST_TEMPLATES.name]]
    publish_templates(slugs=made, by=_PUBLISHER, now=now)
    return Seeded(report=report, left_out=tuple(writer.problems))


def publish_templates(*, slugs: Iterable[str], by: str, now: datetime) -> None:
    """Publish the first version of checklist templates, so that runs can begin.

    One that has a version stays as it is: what is edited is for people to publish.
    """
    actor = engine(by)
    drafts = ChecklistTemplate.objects.filter(slug__in=slugs, versions__isnull=True)
    for template in drafts.order_by("slug"):
        try:
            version = templates.propose(template_id=template.pk, actor=actor, now=now)
        except Refused as refused:
            # What the present configuration leaves no room for was left out of it.
            logger.warning("%s stays a draft: %s", template.slug, refused.message)
            continue
        templates.publish(version_id=version.pk, actor=actor, now=now)


def _never_offered(reading: Reading) -> list[RowSpec]:
    rows = {_seeded_key(row): row for each in reading.rows.values() for row in each}
    offered = set(SeededKey.objects.filter(key__in=rows).values_list("key", flat=True))
    return [row for key, row in rows.items() if key not in offered]


def _seeded_key(row: RowSpec) -> str:
    return f"{row.table.name}:{row.label}"
