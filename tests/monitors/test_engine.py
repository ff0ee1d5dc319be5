from __future__ import annotations

import asyncio
import contextlib
import gc
import queue
import threading
import time

import pytest

from monitors.connectivity import Connectivity, Control
from monitors.engine import Engine, Finding, Job
from monitors.probes import registry
from monitors.probes.base import Outcome, ProbeRequest, Reason
from tests.flows.standins import Listener, Shop


def make_job(url, *, monitor_id=1, in_s=0.0, timeout_s=2.0) -> Job:
    return Job(
        request=ProbeRequest(
            monitor_id=monitor_id,
            kind="http",
            target=url,
            options=registry.parse_options("http", {}),
            timeout_s=timeout_s,
            may_use_private_targets=True,
        ),
        slot=time.time() + in_s,
    )


class Recorder:
    """Keeps what the engine hands on; may refuse the first batches."""

    def __init__(self, refusals: int = 0) -> None:
        self.findings: list[Finding] = []
        self.batches: list[int] = []
        self._refusals = refusals
        self._arrived = threading.Condition()

    def __call__(self, findings: list[Finding]) -> None:
        with self._arrived:
            if self._refusals:
                self._refusals -= 1
                raise OSError("the database is away")
            self.findings += findings
            self.batches.append(len(findings))
            self._arrived.notify_all()

    def wait_for(self, count: int) -> list[Finding]:
        with self._arrived:
            self._arrived.wait_for(lambda: len(self.findings) >= count, timeout=15)
            return self.findings


@pytest.fixture
def shop():
    shop = Shop()
    yield shop
    shop.stop()


@pytest.fixture
def make_engine():
    engines = []

    def make(record, **values):
        engine = Engine(
            record=record,
            **{"concurrency": 200, "host_concurrency": 200, **values},
        )
        engine.start()
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.stop(timeout_s=3)


def test_a_probe_starts_at_its_slot_and_never_before(shop, make_engine):
    recorder = Recorder()
    job = make_job(shop.url, in_s=0.4)

    make_engine(recorder).submit([job])

    (finding,) = recorder.wait_for(1)
    assert finding.result.outcome is Outcome.PASSED
    assert 0 <= finding.at - job.slot < 0.3


def test_many_results_are_handed_on_together(shop, make_engine):
    recorder = Recorder()

    make_engine(recorder).submit([make_job(shop.url, monitor_id=n) for n in range(40)])

    recorder.wait_for(40)
    assert len(recorder.batches) <= 5


def test_a_hanging_target_holds_up_nobody_else(shop, make_engine):
    shop.turn("hanging")
    healthy, recorder = Shop(), Recorder()

    engine = make_engine(recorder)
    engine.submit([make_job(shop.url, monitor_id=n, timeout_s=1.5) for n in range(20)])
    engine.submit([make_job(healthy.url, monitor_id=100)])

    first = recorder.wait_for(1)[0]
    assert first.monitor_id == 100
    assert len(recorder.wait_for(21)) == 21
    assert {one.result.reason for one in recorder.findings[1:]} == {Reason.TIMEOUT}
    healthy.stop()


def test_one_host_is_asked_only_so_often_at_once(shop, make_engine):
    shop.turn("hanging")
    recorder = Recorder()
    engine = make_engine(recorder, host_concurrency=2)

    engine.submit([make_job(shop.url, monitor_id=n, timeout_s=0.4) for n in range(6)])

    starts = sorted(one.at for one in recorder.wait_for(6))
    assert starts[2] - starts[0] >= 0.35
    assert starts[4] - starts[2] >= 0.35


def test_a_batch_that_could_not_be_recorded_is_kept(shop, make_engine):
    recorder = Recorder(refusals=1)

    make_engine(recorder).submit([make_job(shop.url)])

    assert len(recorder.wait_for(1)) == 1


def test_stopping_records_what_was_found(shop):
    recorder = Recorder()
    engine = Engine(record=recorder, concurrency=10, host_concurrency=10)
    engine.start()
    engine.submit([make_job(shop.url)])
    while not shop.first_at:
        time.sleep(0.01)
    time.sleep(0.05)

    engine.stop(timeout_s=3)

    assert len(recorder.findings) == 1


def probe_that_ends(monkeypatch, closing):
    """Have every probe hang, and close as `closing` does; returns those begun."""
    begun: queue.SimpleQueue[int] = queue.SimpleQueue()

    async def run(request):
        begun.put(request.monitor_id)
        try:
            await asyncio.Event().wait()
        finally:
            await closing()

    monkeypatch.setattr(registry, "run", run)
    return begun


@pytest.mark.parametrize("closes_in_s", [0.0, 1.2])
def test_stopping_waits_until_probes_have_closed(monkeypatch, caplog, closes_in_s):
    closed = []

    async def closing():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(closes_in_s)
        closed.append(1)

    begun = probe_that_ends(monkeypatch, closing)
    engine = Engine(record=Recorder(), concurrency=10, host_concurrency=10)
    engine.start()
    engine.submit([make_job("http://shop.test", monitor_id=n) for n in range(3)])
    assert sorted(begun.get(timeout=10) for _ in range(3)) == [0, 1, 2]

    engine.stop(timeout_s=5)

    del engine
    gc.collect()
    assert len(closed) == 3
    assert "Task was destroyed" not in caplog.text


def test_a_tick_while_stopping_begins_nothing(monkeypatch):
    engine = Engine(record=Recorder(), concurrency=10, host_concurrency=10)

    async def closing():
        engine._enqueue([make_job("http://shop.test", monitor_id=2)])
        engine.submit([make_job("http://shop.test", monitor_id=3)])
        await asyncio.sleep(0.2)

    begun = probe_that_ends(monkeypatch, closing)
    engine.start()
    engine.submit([make_job("http://shop.test", monitor_id=1)])
    assert begun.get(timeout=10) == 1

    engine.stop(timeout_s=5)

    assert begun.empty()
    engine.submit([make_job("http://shop.test", monitor_id=4)])
    engine.ask_connectivity()
    assert engine.load().waiting_count == 0


def test_without_our_own_network_a_failure_is_ours(make_engine):
    control, recorder = Listener(), Recorder()
    control.close()
    engine = make_engine(recorder)
    engine.connectivity.set_controls((Control("127.0.0.1", control.port),))

    engine.submit([make_job(f"http://127.0.0.1:{control.port}/")])

    (finding,) = recorder.wait_for(1)
    assert finding.result.outcome is Outcome.ERROR
    assert finding.result.reason == Reason.OFFLINE
    assert engine.connectivity.blind_since is not None


def test_an_answer_from_a_target_is_never_our_fault(shop, make_engine):
    shop.turn("failing")
    control, recorder = Listener(), Recorder()
    control.close()
    engine = make_engine(recorder)
    engine.connectivity.set_controls((Control("127.0.0.1", control.port),))

    engine.submit([make_job(shop.url)])

    (finding,) = recorder.wait_for(1)
    assert (finding.result.outcome, finding.result.reason) == (Outcome.FAILED, 500)


def test_one_control_that_answers_is_enough():
    alive, dead = Listener(), Listener()
    dead.close()

    async def ask() -> bool:
        connectivity = Connectivity()
        connectivity.set_controls(
            (Control("127.0.0.1", dead.port), Control("127.0.0.1", alive.port))
        )
        return await connectivity.is_online()

    assert asyncio.run(ask())
    alive.close()


def test_without_controls_we_trust_our_network():
    assert asyncio.run(Connectivity().is_online())


def test_an_answer_holds_for_a_while():
    control = Listener()

    async def ask_twice() -> tuple[bool, bool]:
        connectivity = Connectivity(fresh_s=60)
        connectivity.set_controls((Control("127.0.0.1", control.port),))
        first = await connectivity.is_online()
        control.close()
        return first, await connectivity.is_online()

    assert asyncio.run(ask_twice()) == (True, True)


def test_a_crowded_host_takes_no_room_from_the_others(shop, make_engine):
    shop.turn("hanging")
    healthy, recorder = Shop(), Recorder()
    engine = make_engine(recorder, concurrency=3, host_concurrency=1)

    engine.submit([make_job(shop.url, monitor_id=n, timeout_s=1.0) for n in range(6)])
    engine.submit([make_job(healthy.url, monitor_id=100)])

    assert recorder.wait_for(1)[0].monitor_id == 100
    healthy.stop()


def test_a_monitor_is_asked_once_at_a_time(shop, make_engine):
    shop.turn("hanging")
    recorder = Recorder()
    engine = make_engine(recorder)

    engine.submit(
        [make_job(shop.url, in_s=n * 0.1, timeout_s=0.6) for n in range(4)]
        + [make_job(shop.url, in_s=0.9, timeout_s=0.1)]
    )

    first, second = sorted(one.at for one in recorder.wait_for(2))
    assert second - first >= 0.6
    assert len(recorder.findings) == 2


def test_a_first_failure_asks_anew_whether_we_are_online(make_engine):
    control, recorder = Listener(), Recorder()
    engine = make_engine(recorder)
    engine.connectivity.set_controls((Control("127.0.0.1", control.port),))
    asked = asyncio.run_coroutine_threadsafe(
        engine.connectivity.is_online(), engine._loop
    )
    assert asked.result(timeout=5)
    control.close()

    engine.submit([make_job(f"http://127.0.0.1:{control.port}/")])

    (finding,) = recorder.wait_for(1)
    assert finding.result.reason == Reason.OFFLINE
