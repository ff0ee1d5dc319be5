"""The supervisor, with small real programs in place of the portal's."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from t4g_portal.supervisor import BACK_OFF_LIMIT_S, Child, ChildSpec

# How long a loaded machine may take for what takes an idle one tenths of a second.
PATIENCE_S = 60.0
# A bound that must not be what ended the wait.
NEVER_S = 3 * PATIENCE_S
# Shorter waits, so that what takes seconds in service takes tenths here.
DRIVER = """
import json, sys
from t4g_portal import supervisor
from t4g_portal.supervisor import ChildSpec, Supervisor
given = json.loads(sys.argv[1])
for name, value in given["constants"].items():
    setattr(supervisor, name, value)
children = [ChildSpec(**child) for child in given["children"]]
setup = ChildSpec(**given["setup"]) if given["setup"] else None
is_up = (lambda: True) if given["greeting"] else None
sys.exit(Supervisor(children=children, setup=setup, is_up=is_up,
                    greeting=given["greeting"]).run())
"""
SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"
# Leaves a grandchild that no signal to its parent reaches.
FORKER = (
    "import subprocess, sys, time; "
    f"p = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); "
    "print('grandchild', p.pid, flush=True); time.sleep(600)"
)


class Running:
    """A supervisor in a process of its own, with what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.output = ""

    def wait_for(self, *patterns: str, timeout_s: float = PATIENCE_S) -> re.Match[str]:
        """Read on until all are there in any order, then forget what came before.

        Returns the match of the last one of `patterns`.
        """
        assert self.process.stdout is not None
        output = self.process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        while None in (found := [re.search(one, self.output) for one in patterns]):
            left = deadline - time.monotonic()
            assert left > 0, f"{patterns} not all in:\n{self.output}"
            if select.select([output], [], [], left)[0]:
                read = os.read(output, 65536)
                assert read, f"{patterns} not all in:\n{self.output}"
                self.output += read.decode()
        matches = [match for match in found if match is not None]
        self.output = self.output[max(match.end() for match in matches) :]
        return matches[-1]

    def descendants(self) -> list[psutil.Process]:
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(
            recursive=True
        )
        return found

    def child(self, text: str) -> psutil.Process:
        """The direct child whose command line contains `text`."""
        children = psutil.Process(self.process.pid).children()
        return next(c for c in children if text in " ".join(c.cmdline()))


def wait_until(condition: Callable[[], bool], *, timeout_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def child(name: str, code: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "argv": [sys.executable, "-S", "-c", code], **more}


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(
        *children: dict[str, Any],
        setup: dict[str, Any] | None = None,
        greeting: str = "",
        **constants: float,
    ) -> Running:
        given = {
            "children": children,
            "setup": setup,
            "greeting": greeting,
            "constants": constants,
        }
        running = Running(
            subprocess.Popen(
                [sys.executable, "-c", DRIVER, json.dumps(given)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        started.append(running)
        return running

    yield start
    for running in started:
        with running.process as process:
            process.kill()


def are_gone(processes: list[psutil.Process]) -> bool:
    return not any(
        p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_request_to_stop_leaves_nothing_and_exits_with_zero(run, number):
    running = run(child("a", SLEEPER), child("b", SLEEPER))
    running.wait_for(r"a +\| up|b +\| up")
    running.wait_for(r"a +\| up|b +\| up")
    everybody = running.descendants()

    running.process.send_signal(number)

    assert running.process.wait(timeout=PATIENCE_S) == 0
    assert len(everybody) == 2
    assert not any(p.is_running() for p in everybody)


def test_stubborn_child_and_orphans_are_killed(run):
    running = run(child("a", STUBBORN), child("b", FORKER), SERVICES_KILL_S=0.3)
    running.wait_for(r"a +\| up", "grandchild")
    everybody = running.descendants()

    running.process.terminate()

    running.wait_for("a +.*does not stop; killed")
    assert running.process.wait(timeout=PATIENCE_S) == 0
    assert len(everybody) == 3
    assert not any(p.is_running() for p in everybody)


def test_second_request_hurries(run):
    running = run(child("a", STUBBORN), ECHO_S=0.0, SERVICES_KILL_S=NEVER_S)
    running.wait_for("up")
    running.process.send_signal(signal.SIGINT)
    running.wait_for("Stopping")

    running.process.send_signal(signal.SIGINT)

    assert running.process.wait(timeout=PATIENCE_S) == 0


def test_echo_of_the_first_request_does_not_hurry(run):
    running = run(child("a", STUBBORN), SERVICES_KILL_S=0.6)
    running.wait_for("up")
    started_at = time.monotonic()
    running.process.terminate()
    running.wait_for("Stopping")

    running.process.terminate()

    assert running.process.wait(timeout=PATIENCE_S) == 0
    assert time.monotonic() - started_at >= 0.5


def test_killed_child_comes_back(run):
    running = run(child("a", SLEEPER), BACK_OFF_FIRST_S=0.05)
    running.wait_for("up")
    first = running.child("sleep")
    first.kill()

    running.wait_for(r"a +\| was killed by SIGKILL; starting again in 0.05 s")

    running.wait_for(r"a +\| up")
    assert running.child("sleep").pid != first.pid


def test_what_a_dead_child_left_is_killed_before_it_comes_back(run):
    running = run(child("a", FORKER))
    pid = int(running.wait_for(r"grandchild (\d+)")[1])
    running.child("subprocess").kill()

    running.wait_for("starting again")

    wait_until(lambda: not psutil.pid_exists(pid))


def test_program_that_ends_is_started_again(run):
    running = run(child("a", "print('short', flush=True); raise SystemExit(3)"))

    running.wait_for("ended with exit code 3; starting again in 0.5 s")
    running.wait_for("ended with exit code 3; starting again in 1 s")


def test_missing_program_is_a_line_and_not_the_end(run):
    good = child("a", SLEEPER)
    running = run(good, {"name": "b", "argv": [sys.executable, "-c", "import nowhere"]})

    running.wait_for("No module named 'nowhere'")
    running.wait_for(r"b +\| ended with exit code 1")
    assert running.process.poll() is None


def test_killed_supervisor_takes_everything_along(run):
    running = run(child("base", SLEEPER, is_foundation=True), child("a", SLEEPER))
    running.wait_for("up")
    running.wait_for("up")
    everybody = running.descendants()

    running.process.kill()
    running.process.wait()

    wait_until(lambda: are_gone(everybody))


def test_services_wait_for_the_set_up(run, tmp_path: Path):
    mark = tmp_path / "mark"
    late = child("a", f"import os; print('found', os.path.exists({str(mark)!r}))")
    setup = child(
        "setup", f"import time; time.sleep(0.2); open({str(mark)!r}, 'w').close()"
    )
    running = run(late, setup=setup)

    running.wait_for("found True")


def test_failed_set_up_ends_everything(run):
    setup = child("setup", "raise SystemExit('no disk')")
    running = run(child("base", SLEEPER, is_foundation=True), setup=setup)

    running.wait_for(r"setup +\| no disk")
    running.wait_for("set-up failed")
    assert running.process.wait(timeout=PATIENCE_S) == 1


def test_stop_during_set_up_leaves_nothing(run):
    running = run(
        child("base", SLEEPER, is_foundation=True),
        child("a", SLEEPER),
        setup=child("setup", FORKER),
    )
    running.wait_for("grandchild")
    everybody = running.descendants()

    running.process.terminate()

    assert running.process.wait(timeout=PATIENCE_S) == 0
    assert len(everybody) == 3
    assert not any(p.is_running() for p in everybody)


def test_foundation_stops_last_and_with_sigint(run):
    loud = (
        "import signal, sys, time\n"
        "def end(n, f): print('got', signal.Signals(n).name, flush=True); sys.exit()\n"
        "signal.signal(signal.SIGINT, end); signal.signal(signal.SIGTERM, end)\n"
        "print('up', flush=True); time.sleep(600)"
    )
    running = run(child("base", loud, is_foundation=True), child("a", loud))
    running.wait_for("up")
    running.wait_for("up")

    running.process.terminate()

    running.wait_for(r"a +\| got SIGTERM")
    running.wait_for(r"base +\| got SIGINT")


def test_foundation_that_hangs_is_told_to_quit(run):
    hanging = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        "print('up', flush=True); time.sleep(600)"
    )
    running = run(
        child("base", hanging, is_foundation=True),
        FOUNDATIONS_QUIT_S=0.2,
        FOUNDATIONS_KILL_S=NEVER_S,
    )
    running.wait_for("up")

    running.process.terminate()

    assert running.process.wait(timeout=PATIENCE_S) == 0


def test_output_carries_the_name_and_no_colors_in_a_pipe(run):
    running = run(
        child("a", "import sys; sys.stdout.write('one\\ntwo'); sys.stdout.flush()"),
        greeting="here it is",
    )

    running.wait_for(r"(?m)^a        \| one\n")
    running.wait_for(r"(?m)^a        \| two\n")
    running.wait_for("ended with exit code 0")
    assert "\x1b" not in running.output


def test_greeting_is_printed_once_when_up(run):
    running = run(child("a", SLEEPER), greeting="here it is")

    running.wait_for(r"portal +\| here it is")
    running.process.terminate()
    running.wait_for("Stopping")
    assert "here it is" not in running.output


def test_reader_that_goes_away_does_not_end_the_work(run):
    running = run(child("a", "import time\nwhile True: print('x'); time.sleep(0.01)"))
    running.wait_for("x")

    running.process.stdout.close()

    time.sleep(0.05)
    assert running.process.poll() is None
    running.process.terminate()
    assert running.process.wait(timeout=PATIENCE_S) == 0


def test_back_off_doubles_to_its_limit_and_health_resets_it():
    waiting = Child(ChildSpec(name="a"))
    waiting.started_at = 1000.0

    delays = [waiting.ended(1, 1001.0) for _ in range(8)]
    assert delays[:4] == [0.5, 1.0, 2.0, 4.0]
    assert delays[-1] == BACK_OFF_LIMIT_S

    assert waiting.ended(1, 1060.0) == 0.5
