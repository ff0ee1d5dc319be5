"""The broker of files, with real readers and writers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue

from t4g_portal.file_broker import WAIT_LIMIT_S


def connect(folder: Path) -> Any:
    return Connection(
        "filesystem://localhost",
        transport="t4g_portal.file_broker:Transport",
        transport_options={
            "data_folder_in": str(folder),
            "data_folder_out": str(folder),
            "polling_interval": 0.02,
        },
    )


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Any]:
    with connect(tmp_path) as connection:
        yield connection


def test_messages_come_back_in_order_and_from_their_queue(connection):
    channel = connection.default_channel
    for number in range(20):
        channel._put("probes", {"n": number})
        channel._put("paging", {"n": -number})

    assert [channel._get("probes")["n"] for _ in range(20)] == list(range(20))
    assert channel._size("paging") == 20
    with pytest.raises(Empty):
        channel._get("probes")


def test_unreadable_message_is_passed_over(connection, tmp_path: Path):
    (tmp_path / f"{0:020d}_torn.probes.msg").write_text("")
    connection.default_channel._put("probes", {"n": 1})

    assert connection.default_channel._get("probes") == {"n": 1}
    assert not list(tmp_path.glob("*torn*"))


def test_deleted_directory_costs_its_messages_only(tmp_path: Path):
    folder = tmp_path / "broker" / "queue"
    queue = Queue("probes", Exchange("probes", type="direct"), routing_key="probes")
    got: list[Any] = []

    def take(body: Any, message: Any) -> None:
        got.append(body)
        message.ack()

    with (
        connect(folder) as worker,
        connect(folder) as beat,
        worker.Consumer(queue, callbacks=[take]),
    ):
        producer = beat.Producer()
        for number in (1, 2):
            shutil.rmtree(tmp_path / "broker", ignore_errors=True)
            with pytest.raises(TimeoutError):
                worker.drain_events(timeout=0.05)
            producer.publish(
                {"n": number}, exchange=queue.exchange, routing_key="probes"
            )
            worker.drain_events(timeout=1)

    assert got == [{"n": 1}, {"n": 2}]


def test_racing_readers_get_each_message_whole_and_once(connection, tmp_path: Path):
    count = 300

    def write() -> None:
        with connect(tmp_path) as writer:
            for number in range(count):
                writer.default_channel._put("probes", {"n": number})

    def read(_: int) -> list[int]:
        found = []
        deadline = time.monotonic() + 20
        with connect(tmp_path) as reader:
            while not written.done() or reader.default_channel._size("probes"):
                assert time.monotonic() < deadline
                try:
                    found.append(reader.default_channel._get("probes")["n"])
                except Empty:
                    time.sleep(0.001)
        return found

    with ThreadPoolExecutor(4) as pool:
        written = pool.submit(write)
        found = [number for numbers in pool.map(read, range(3)) for number in numbers]

    written.result()
    assert sorted(found) == list(range(count))


def test_wait_is_short_enough_to_notice_a_request_to_stop(connection):
    with connection.SimpleQueue("probes"):
        started_at = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=2.0)

    assert time.monotonic() - started_at < WAIT_LIMIT_S + 0.5
