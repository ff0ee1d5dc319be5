"""The list of sections itself."""

from __future__ import annotations

import pytest
from django.db import models

from t4g_portal.configuration.columns import ReferenceColumn, column_for
from t4g_portal.configuration.sections import SECTIONS
from t4g_portal.configuration.tables import Part, Section, Table, columns

TABLES: list[Table] = [
    table for section in SECTIONS for table in (section, *section.parts)
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_field_is_in_the_file_or_left_out_on_purpose(table: Table):
    own = {
        field.name
        for field in (*table.model._meta.fields, *table.model._meta.many_to_many)
        if not field.primary_key
    }
    structural = {table.parent, table.position} if isinstance(table, Part) else set()

    listed = {column.name for column in table.columns}

    assert listed | table.left_out | (structural - {""}) == own


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_references_lead_to_earlier_sections_by_their_key(section: Section):
    earlier = {each.model: each for each in SECTIONS[: SECTIONS.index(section)]}

    for column in section.columns:
        if isinstance(column, ReferenceColumn):
            assert earlier[column.target].key == (column.target_key,)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_keys_are_unique_in_the_database(table: Table):
    fields = table.model._meta
    together = [
        set(each.fields)
        for each in fields.constraints
        if isinstance(each, models.UniqueConstraint)
    ]
    parent = {table.parent} if isinstance(table, Part) else set()

    if table.key:
        is_unique = len(table.key) == 1 and fields.get_field(table.key[0]).unique
        assert is_unique or set(table.key) | parent in together


def test_a_field_of_an_unknown_type_is_a_mistake_of_ours():
    with pytest.raises(TypeError, match="no column type"):
        column_for(models.BinaryField(name="blob"), references={})


def test_columns_keep_their_order():
    [monitors] = [section for section in SECTIONS if section.name == "monitors"]

    found = columns(monitors.model, "target name")

    assert [column.name for column in found] == ["target", "name"]
