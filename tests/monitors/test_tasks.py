from __future__ import annotations

import pytest

from monitors import probing, tasks
from monitors.models import MonitorState
from tests.factories import make_monitor


@pytest.mark.django_db
def test_states_are_looked_after_when_our_own_network_cannot_be(settings):
    # Longer than its column.
    settings.PROBE_LOCATION = "x" * 61
    monitor = make_monitor(kind="heartbeat", target="")

    try:
        tasks.watch()
    finally:
        probing.stop()

    assert MonitorState.objects.filter(monitor=monitor).exists()
