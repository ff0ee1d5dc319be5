"""Tables for spreadsheets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from t4g_portal.lib.csv_files import cell, csv_response


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (0, 0),
        (-3, -3),
        (1 / 3, 0.333),
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+33 6", "'+33 6"),
        ("a=b", "a=b"),
        (datetime(2026, 3, 2, 9, 0, 0, 5, tzinfo=UTC), "2026-03-02T09:00:00+00:00"),
    ],
)
def test_cells_are_what_a_spreadsheet_should_take_them_for(value, shown):
    assert cell(value) == shown


def test_file_says_that_it_is_utf_8_and_quotes_what_needs_it():
    answer = csv_response(name="a.csv", header=["who", "n"], rows=[['Zoé, "Z"', None]])

    assert answer.content.decode() == '\ufeffwho,n\r\n"Zoé, ""Z""",\r\n'
    assert answer["Content-Disposition"] == 'attachment; filename="a.csv"'
