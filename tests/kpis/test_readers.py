"""The threads that read sources: bounded, and none lost."""

from __future__ import annotations

import threading

import pytest

from kpis.readers import Readers


def test_a_reader_takes_a_place_until_it_is_done():
    readers, gate = Readers(at_most=2), threading.Event()

    thread = readers.start(gate.wait)
    assert readers.free == 1

    gate.set()
    thread.join()
    assert readers.free == 2


def test_a_reader_that_fails_gives_its_place_back():
    readers = Readers(at_most=1)

    readers.start(lambda: 1 / 0).join()

    assert readers.free == 1


def test_a_thread_that_cannot_start_takes_no_place(monkeypatch):
    readers = Readers(at_most=1)

    def full(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(RuntimeError):
        readers.start(lambda: None)

    assert readers.free == 1


def test_none_starts_once_the_process_ends():
    readers = Readers(at_most=1)

    readers.stop()

    assert readers.free == 0
