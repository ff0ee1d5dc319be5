"""The process that sends the ticks, with a real broker directory."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, beat

from bench.portal import free_port
from t4g_portal.beat import ALIVE_FILE, TickBeat, TickScheduler


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
        read = ticks[0].read_text()
        # Whatever somebody deletes below it.
        shutil.rmtree(tmp_path / "broker")
        while not list(queue.glob("*.probes.msg")):
            assert time.monotonic() < deadline, "no tick came any more"
            time.sleep(0.05)
    finally:
        beat.terminate()

    assert beat.wait(timeout=10) == 0
    headers = json.loads(read)["headers"]
    assert headers["task"] == "monitors.tasks.probe"
    assert headers["expires"] is not None


def test_nothing_is_taken_off_the_time_to_sleep():
    # Celery takes off 10 ms and then spins until the entry is due.
    assert TickScheduler.adjust(None, 1.0) == 1.0  # type: ignore[arg-type]


class Moment:
    """A beat of this process whose entry, due all the time, does as a test likes."""

    def __init__(
        self, act: Callable[[], object], *, every_s: float = 0.001, broker: str = ""
    ) -> None:
        class Scheduler(TickScheduler):
            def send_task(self, *_: object, **__: object) -> None:
                act()

        app = Celery("moment", broker=broker or "memory://", set_as_current=False)
        app.conf.beat_schedule = {"often": {"task": "none", "schedule": every_s}}
        app.conf.result_expires = None
        self.service = beat.Service(app, scheduler_cls=Scheduler)

    def run(self) -> None:
        """Send until SIGTERM."""
        TickBeat(app=self.service.app).install_sync_handler(self.service)
        self.service.start()


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Any) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signals as they were, afterwards."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_stop_while_sending_ends_what_is_sent():
    def send() -> None:
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("it went on sending")

    Moment(send).run()


@pytest.mark.usefixtures("handlers")
def test_a_stop_that_the_brokers_client_swallows_ends_the_next_tick():
    calls: list[int] = []

    def send() -> None:
        calls.append(1)
        # As redis-py's buffer did when it was closed while it was being read.
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            raise ValueError("I/O operation on closed file.")

    Moment(send).run()

    assert calls == [1]


@pytest.mark.parametrize(("every_s", "first_s"), [(1, 1), (60, 60), (3600, 60)])
def test_what_comes_seldom_comes_within_a_minute_of_a_start(every_s, first_s):
    scheduler = Moment(lambda: None, every_s=every_s).service.scheduler

    is_due, next_s = scheduler.schedule["often"].is_due()

    assert not is_due
    assert first_s - 1 < next_s <= first_s


@pytest.mark.usefixtures("handlers")
def test_two_beats_of_one_directory_leave_a_sign_and_end_in_order(data_dir: Path):
    other = Moment(lambda: None).service.scheduler
    other.sync()
    moment = Moment(lambda: signal.raise_signal(signal.SIGTERM))
    other.close()
    (data_dir / ALIVE_FILE).unlink()

    moment.run()

    assert (data_dir / ALIVE_FILE).exists()


@pytest.mark.usefixtures("handlers")
def test_a_stop_while_the_broker_is_away_waits_no_longer():
    moment = Moment(lambda: None, broker=f"redis://127.0.0.1:{free_port()}")
    moment.service.app.conf.broker_connection_max_retries = None
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
    signal.setitimer(signal.ITIMER_REAL, 0.3)

    began_at = time.monotonic()
    moment.run()

    assert time.monotonic() - began_at < 3
