"""The documents say what is there: every section, field, option and variable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from monitors.probes import registry
from monitors.probes.assertions import OPERATORS, SUBJECTS
from t4g_portal.configuration.columns import Column
from t4g_portal.configuration.importing import import_configuration
from t4g_portal.configuration.sections import SECTIONS
from t4g_portal.configuration.tables import Section

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = (ROOT / "docs/configuration.md").read_text()


def part_about(section: Section) -> str:
    return (
        DOCUMENT.split(f"### {section.name}\n", 1)[1]
        .split("\n## ")[0]
        .split("\n### ")[0]
    )


def documented(column: Column) -> str:
    if column.is_required:
        return f"**{column.key}**"
    default = column.default
    if default is None:
        return column.key
    if isinstance(default, bool):
        default = str(default).lower()
    return f"{column.key} `{'' if default else repr(default)}{default or ''}`"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_every_field_is_documented_with_its_default(section: Section):
    text = " ".join(part_about(section).split())

    for table in (section, *section.parts):
        for column in table.columns:
            assert documented(column) in text


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_kind_is_documented_with_its_options(kind: str):
    [line] = re.findall(rf"(?m)^\| {kind} \|.*", DOCUMENT)

    assert (registry.get(kind).target_example or "–") in line
    for option in registry.describe_options(kind):
        default = str(option.default)
        shown = default.lower() if isinstance(option.default, bool) else default
        assert f"{option.name} `{shown or repr(shown)}`" in line


def test_every_subject_and_operator_is_documented():
    for word in (*SUBJECTS, *OPERATORS):
        assert f"`{word}`" in DOCUMENT


@pytest.mark.django_db
def test_the_example_can_be_imported():
    [example] = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    url = "https://hooks.slack.com/services/T/B/x"

    report = import_configuration(
        data=example.encode(),
        environ={"SLACK_WEBHOOK_URL": url, "TWILIO_AUTH_TOKEN": "x" * 32},
    )

    assert [section.created_count > 0 for section in report.sections] == [True] * len(
        SECTIONS
    )


def test_every_variable_stands_in_the_table_of_operations():
    example = (ROOT / ".env.example").read_text()
    table = (ROOT / "docs/operations.md").read_text()

    variables = set(re.findall(r"(?m)^#?([A-Z][A-Z0-9_]*)=", example))
    listed = re.findall(r"(?m)^\| `([A-Z][A-Z0-9_]*)`", table)

    assert set(listed) == variables
    assert len(listed) == len(variables)


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        *sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").glob("*.md")),
    ],
)
def test_links_between_documents_lead_somewhere(name: str):
    path = ROOT / name

    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), target
