"""What raises alerts, by name and page."""

from __future__ import annotations

import pytest

from incidents import sources
from tests.factories import make_monitor


@pytest.mark.parametrize(
    "source",
    [
        "",
        "monitor",
        "monitor:",
        "monitor:x",
        "planet:7",
        "a:b:1",
        "monitor:²",
        "monitor:1234567890123456789",
    ],
)
def test_source_without_a_page_has_no_link(source):
    assert sources.url_of(source) == ""
    assert sources.rules_url_of(source) == ""


@pytest.mark.django_db
def test_monitors_are_named_in_one_query_and_those_that_are_gone_left_out(
    django_assert_num_queries,
):
    one, other = make_monitor(name="Website"), make_monitor(name="API")
    known = {f"monitor:{one.pk}": "Website", f"monitor:{other.pk}": "API"}

    with django_assert_num_queries(1):
        found = sources.names_of([*known, "monitor:999999999", "planet:1", ""])

    assert found == known


def test_thresholds_of_a_monitor_stand_on_its_page():
    assert sources.rules_url_of("monitor:12") == "/monitors/12/#thresholds"


def test_a_kind_may_name_another_page():
    assert sources.url_of("schedule:3") == "/admin/incidents/schedule/3/change/"
    assert sources.url_of("kpi:7") == "/admin/kpis/kpi/7/change/"
    assert sources.rules_url_of("kpi:7") == ""
