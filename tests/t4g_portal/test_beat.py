"""The process that sends the ticks, with a real broker directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from t4g_portal.beat import TickScheduler


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
