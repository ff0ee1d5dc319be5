"""The process that sends the ticks, with a real broker directory."""

from __future__ import annotations

import json
import os
import shelve
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery, beat

from bench.portal import free_port
from t4g_portal.beat import TickBeat, TickScheduler


def test_beat_sends_ticks_that_expire_and_ends_when_asked(tmp_path: Path):
    environment = {
        **os.environ,
        "PORTAL_DATA_DIR": str(tmp_path),
        "PORTAL_ENV_FILE": os.devnull,
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "",
        "DJANGO_SETTINGS_MODULE": "t4g_portal.settings",
    }
    beat = subprocess.Popen([sys.executable, "-m", "t4g_portal.beat"], env=environment)
    try:
        deadline = time.monotonic() + 20
        queue = tmp_path / "broker/queue"
        while not (
            ticks := [t for t in queue.glob("*.probes.msg") if t.stat().st_size]
        ):
            assert time.monotonic() < deadline, "no tick came"
            time.sleep(0.05)
    finally:
        beat.terminate()

    assert beat.wait(timeout=10) == 0
    headers = json.loads(ticks[0].read_text())["headers"]
    assert headers["task"] == "monitors.tasks.probe"
    assert headers["expires"] is not None


def test_nothing_is_taken_off_the_time_to_sleep():
    # Celery takes off 10 ms and then spins until the entry is due.
    assert TickScheduler.adjust(None, 1.0) == 1.0  # type: ignore[arg-type]


class Moment:
    """A beat of this process whose entry, due all the time, does as a test likes."""

    def __init__(
        self,
        directory: Path,
        act: Callable[[], object],
        *,
        broker: str = "memory://",
    ) -> None:
        class Scheduler(TickScheduler):
            def send_task(self, *_: object, **__: object) -> None:
                act()

        app = Celery("moment", broker=broker, set_as_current=False)
        app.conf.beat_schedule = {"often": {"task": "none", "schedule": 0.001}}
        app.conf.result_expires = None
        # After each entry its file is written.
        app.conf.beat_sync_every = 1
        self.path = directory / "schedule"
        self.service = beat.Service(
            app, scheduler_cls=Scheduler, schedule_filename=str(self.path)
        )

    def run(self) -> None:
        """Send until SIGTERM."""
        TickBeat(app=self.service.app).install_sync_handler(self.service)
        self.service.start()

    def kept(self) -> set[str]:
        """What stands in the file, read as the next start does."""
        with shelve.open(str(self.path), flag="r") as shelf:
            return set(shelf["entries"])


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signals as they were, afterwards."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_stop_while_sending_ends_what_is_sent(tmp_path: Path):
    def send() -> None:
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("it went on sending")

    moment = Moment(tmp_path, send)

    moment.run()

    assert moment.kept() == {"often"}


@pytest.mark.usefixtures("handlers")
def test_a_stop_that_the_brokers_client_swallows_ends_the_next_tick(tmp_path: Path):
    calls: list[int] = []

    def send() -> None:
        calls.append(1)
        # As redis-py's buffer did when it was closed while it was being read.
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            raise ValueError("I/O operation on closed file.")

    moment = Moment(tmp_path, send)

    moment.run()

    assert calls == [1]
    assert moment.kept() == {"often"}


@pytest.mark.usefixtures("handlers")
def test_a_stop_while_the_file_is_written_leaves_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    moment = Moment(tmp_path, lambda: None)
    begun: list[int] = []
    ended: list[int] = []
    moment.service.scheduler.sync()
    # This file alone: another's may be let go of at any time.
    file = moment.service.scheduler._store  # type: ignore[attr-defined]
    write = file.sync

    def write_interrupted() -> None:
        begun.append(1)
        if len(begun) == 1:
            signal.raise_signal(signal.SIGTERM)
        write()
        ended.append(1)

    monkeypatch.setattr(file, "sync", write_interrupted)

    moment.run()

    assert ended == begun
    assert moment.kept() == {"often"}


@pytest.mark.usefixtures("handlers")
def test_a_stop_while_the_broker_is_away_waits_no_longer(tmp_path: Path):
    broker = f"redis://127.0.0.1:{free_port()}"
    moment = Moment(tmp_path, lambda: None, broker=broker)
    moment.service.app.conf.broker_connection_max_retries = None
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
    signal.setitimer(signal.ITIMER_REAL, 0.3)

    began_at = time.monotonic()
    moment.run()

    assert time.monotonic() - began_at < 3
