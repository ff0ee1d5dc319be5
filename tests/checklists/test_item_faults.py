"""A template's item that makes no sense is refused where it is written."""

from __future__ import annotations

import pytest

from checklists.validation import item_faults


@pytest.mark.parametrize(
    ("values", "field", "inside"),
    [
        ({"kind": "rule", "verifier": ""}, "verifier", ""),
        ({"kind": "rule", "verifier": "oracle"}, "verifier", ""),
        ({"kind": "manual", "verifier": "web_vitals"}, "verifier", ""),
        (
            {"kind": "rule", "verifier": "web_vitals", "parameters": []},
            "parameters",
            "",
        ),
        (
            {"kind": "rule", "verifier": "web_vitals", "parameters": {"days": 3}},
            "parameters",
            "days",
        ),
        (
            {"kind": "rule", "verifier": "kpi_fresh", "parameters": {}},
            "parameters",
            "kpis",
        ),
        ({"kind": "manual", "parameters": {"kpis": ["users"]}}, "parameters", ""),
    ],
)
def test_fault_names_where_it_is(values, field, inside):
    (fault,) = item_faults(values)

    assert (fault.field, fault.inside) == (field, inside)


def test_item_that_makes_sense_has_no_fault():
    values = {
        "kind": "rule",
        "verifier": "kpi_fresh",
        "parameters": {"kpis": ["users"]},
    }

    assert not list(item_faults(values))
    assert not list(item_faults({"kind": "manual"}))
