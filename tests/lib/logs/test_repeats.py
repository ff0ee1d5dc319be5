"""A fault that returns each second is told once, then by the minute."""

from __future__ import annotations

import logging
import time

import pytest
from django.db import OperationalError

from t4g_portal.lib.logs.repeats import FORGOTTEN_AFTER_S, RepeatFilter


class Log:
    """Sends failures through the filter at moments of our choosing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.filter = RepeatFilter()
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def fail(self, message: str, *args: object, error: Exception) -> str | None:
        """Return what is written; None when it is held back."""
        record = logging.LogRecord(
            "loops", logging.ERROR, "", 1, message, args, (type(error), error, None)
        )
        if not self.filter.filter(record):
            return None
        traceback = " + traceback" if record.exc_info else ""
        return f"{record.getMessage()}{traceback}"


@pytest.fixture
def log(monkeypatch):
    return Log(monkeypatch)


AWAY = OperationalError("connection refused")


def test_outage_is_one_traceback_and_then_a_line_a_minute(log):
    written = []
    for _ in range(600):
        written.append(log.fail("loop %s failed", "probe", error=AWAY))
        log.now += 1

    lines = [line for line in written if line]
    assert lines[0] == "loop probe failed + traceback"
    assert lines[1] == (
        "loop probe failed (again, 60 times in 60 s): "
        "OperationalError: connection refused"
    )
    assert len(lines) == 10


def test_each_loop_is_told_of(log):
    first = log.fail("loop %s failed", "probe", error=AWAY)
    second = log.fail("loop %s failed", "watch", error=AWAY)

    assert first
    assert second


def test_outage_is_one_fault_whatever_the_count(log):
    assert log.fail("could not record %s results", 7, error=AWAY)
    assert log.fail("could not record %s results", 8, error=AWAY) is None


def test_two_rows_that_fail_are_two_faults(log):
    error = ValueError("broken")

    assert log.fail("incident %s could not advance", 7, error=error)
    assert log.fail("incident %s could not advance", 8, error=error)
    assert log.fail("incident %s could not advance", 7, error=error) is None


def test_next_outage_is_news(log):
    log.fail("loop %s failed", "probe", error=AWAY)
    log.now += FORGOTTEN_AFTER_S + 1

    again = log.fail("loop %s failed", "probe", error=AWAY)

    assert again == "loop probe failed + traceback"


def test_what_has_no_traceback_passes(log):
    record = logging.LogRecord("a", logging.WARNING, "", 1, "word", (), None)

    assert all(log.filter.filter(record) for _ in range(5))


def test_memory_is_bounded(log):
    for number in range(2000):
        log.fail("row %s", number, error=ValueError())

    assert len(log.filter._faults) == 500
