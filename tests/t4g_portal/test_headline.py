"""The one sentence of the overview."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitors.status import Status
from t4g_portal.headline import Blindness, OpenIncidents, ServiceLine, headline

UP = Status.UP


def lines(**statuses: Status) -> list[ServiceLine]:
    return [ServiceLine(name=name, status=status) for name, status in statuses.items()]


@pytest.mark.parametrize(
    ("services", "status", "text"),
    [
        ([], Status.PENDING, "Nothing is watched yet"),
        (lines(Web=Status.PENDING), Status.PENDING, "Waiting for the first results"),
        (lines(Web=UP), UP, "1 service up"),
        (lines(Web=UP, API=UP, DB=UP), UP, "All 3 services up"),
        (lines(Web=UP, API=UP, DB=Status.PENDING), UP, "All 2 watched services up"),
        (lines(Web=UP, DB=Status.DOWN), Status.DOWN, "DB down"),
        (
            lines(A=Status.DOWN, B=Status.DOWN, C=Status.DEGRADED),
            Status.DOWN,
            "A and B down",
        ),
        (
            lines(A=Status.DOWN, B=Status.DOWN, C=Status.DOWN),
            Status.DOWN,
            "A, B and C down",
        ),
        (
            lines(**dict.fromkeys("ABCD", Status.DOWN)),
            Status.DOWN,
            "4 services down",
        ),
        (lines(A=UP, B=Status.DEGRADED), Status.DEGRADED, "B degraded"),
        (
            lines(A=Status.UNKNOWN, B=UP),
            Status.UNKNOWN,
            "A unknown: nobody has looked",
        ),
        (
            lines(A=Status.MAINTENANCE, B=UP, C=UP),
            Status.MAINTENANCE,
            "A in maintenance, the other 2 services are up",
        ),
        (
            lines(A=Status.MAINTENANCE, B=UP),
            Status.MAINTENANCE,
            "A in maintenance, the other service is up",
        ),
        (lines(A=Status.MAINTENANCE), Status.MAINTENANCE, "A in maintenance"),
        (lines(A=Status.PAUSED, B=UP), UP, "A paused, the other service is up"),
        (lines(A=Status.PAUSED), Status.PAUSED, "A paused"),
    ],
)
def test_sentence_says_the_worst_first(now, services, status, text):
    said = headline(services=services, blindness=None, now=now)

    assert (said.status, said.text) == (status, text)


@pytest.mark.parametrize(
    ("handlers", "said"),
    [
        ([None], "A down for 4 min"),
        ([""], "A down for 4 min, not acknowledged yet"),
        (["Anna"], "A down for 4 min, acknowledged by Anna"),
        (["Anna", ""], "A and B down for 4 min, not acknowledged yet"),
        (["Anna", "Anna"], "A and B down for 4 min, acknowledged by Anna"),
        (["Ben", "Anna"], "A and B down for 4 min, acknowledged by Anna and Ben"),
        (["Anna", None], "A and B down for 4 min, acknowledged by Anna"),
    ],
)
def test_sentence_says_how_long_and_who_is_on_it(now, handlers, said):
    services = [
        ServiceLine(
            name=name,
            status=Status.DOWN,
            since=now - timedelta(minutes=4 - number),
            handled_by=handler,
        )
        for number, (name, handler) in enumerate(zip("AB", handlers, strict=False))
    ]

    found = headline(services=services, blindness=None, now=now)

    assert found.text.replace("\u00a0", " ") == said


def test_blindness_outranks_everything(now):
    found = headline(
        services=lines(A=Status.DOWN),
        blindness=Blindness(since=now - timedelta(minutes=5), reason="no network"),
        now=now,
    )

    assert found.status is Status.UNKNOWN
    assert found.text == "Monitoring is blind since 09:55:00: no network"


@pytest.mark.parametrize(
    ("incidents", "status", "text"),
    [
        (OpenIncidents(), UP, "All 2 services up"),
        (
            OpenIncidents(waiting_count=1, is_urgent=True),
            Status.DOWN,
            "1 incident waits for somebody",
        ),
        (
            OpenIncidents(waiting_count=2, handled_count=1),
            Status.DEGRADED,
            "2 incidents wait for somebody",
        ),
        (
            OpenIncidents(handled_count=1),
            Status.DEGRADED,
            "1 incident is open, and somebody has it",
        ),
    ],
)
def test_nothing_is_green_while_an_incident_is_open(now, incidents, status, text):
    found = headline(
        services=lines(A=UP, B=UP), blindness=None, now=now, incidents=incidents
    )

    assert (found.status, found.text) == (status, text)
    assert found.hint == ("" if status is UP else "All 2 services up")


def test_trouble_speaks_first_and_names_what_else_waits(now):
    """What waits about the trouble itself stands in the sentence already."""
    down = [ServiceLine(name="API", status=Status.DOWN, handled_by="")]

    alone = headline(
        services=down,
        blindness=None,
        now=now,
        incidents=OpenIncidents(waiting_count=1, is_urgent=True),
    )
    both = headline(
        services=down,
        blindness=None,
        now=now,
        incidents=OpenIncidents(waiting_count=2, is_urgent=True),
    )

    assert (alone.text, alone.hint) == ("API down, not acknowledged yet", "")
    assert (both.text, both.hint) == (alone.text, "2 incidents wait for somebody")
