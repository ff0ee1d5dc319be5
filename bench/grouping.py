"""Does grouping starts change the latencies that are recorded? The engine alone."""

from __future__ import annotations

import statistics
import time

from bench.figures import Figure
from bench.portal import running_target, workplace


def grouping() -> list[Figure]:
    """100 probes a second of one fast target, by how coarse the grid of starts is."""
    figures = []
    with workplace() as directory, running_target(directory) as target:
        for grid_ms in (1, 50, 250):
            latencies, lateness = _latencies(target.http, grid_ms / 1000)
            cuts = statistics.quantiles(latencies, n=100)
            figures += [
                Figure(f"grid {grid_ms} ms: recorded latency p50", cuts[49], "ms"),
                Figure(f"grid {grid_ms} ms: recorded latency p95", cuts[94], "ms"),
                Figure(f"grid {grid_ms} ms: start after slot, p99", lateness, "ms"),
            ]
    return figures


def _latencies(port: int, grid_s: float) -> tuple[list[float], float]:
    import django

    django.setup()
    from monitors import engine as engine_module
    from monitors.engine import Engine, Finding, Job
    from monitors.probes import registry
    from monitors.probes.base import ProbeRequest

    request = ProbeRequest(
        monitor_id=1,
        kind="http",
        target=f"http://127.0.0.1:{port}/",
        options=registry.parse_options("http", {}),
        timeout_s=5,
        may_use_private_targets=True,
    )
    found: list[Finding] = []
    engine_module.START_GRID_S = grid_s
    engine = Engine(record=found.extend, concurrency=1000, host_concurrency=1000)
    engine.start()
    begin = time.time() + 1
    engine.submit([Job(request=request, slot=begin + n / 100) for n in range(2000)])
    time.sleep(22)
    lateness = sorted(engine.load().lateness_s)
    engine.stop(timeout_s=5)
    assert all(one.result.reason == 0 for one in found), found[0]
    latencies = [one.result.phases.total_ms for one in found]
    return latencies, lateness[int(len(lateness) * 0.99)] * 1000
