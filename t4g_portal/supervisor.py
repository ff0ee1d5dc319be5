"""Runs a handful of programs until it is told to stop (ADR 0002).

It knows nothing of the portal: `t4g_portal.launcher` says what to run. Tests hand in
small commands as `ChildSpec`s. It imports no Django app, so that it stays small.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TextIO

BACK_OFF_FIRST_S = 0.5
BACK_OFF_LIMIT_S = 30.0
HEALTHY_AFTER_S = 60.0
# Seconds after the request to stop: when services are killed, when foundations are
# told to give up, when those are killed. Everything together ends within 10 s.
SERVICES_KILL_S = 6.5
FOUNDATIONS_QUIT_S = 8.8
FOUNDATIONS_KILL_S = 9.5
# `make` and `timeout` pass on a signal that the terminal has sent to us as well.
ECHO_S = 1.0
LINE_LIMIT_BYTES = 65_536
COLORS = {"web": 36, "worker": 32, "beat": 35, "setup": 34, "portal": 1}
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

Spawn = Callable[[Callable[[], None]], "subprocess.Popen[bytes]"]


class StopRequested(BaseException):
    """Interrupts a blocking step; the loop itself looks at the count of requests."""


@dataclass(frozen=True)
class ChildSpec:
    """One program to keep running.

    `spawn` replaces the plain start: it receives the function to call in the new
    process before its program starts. `is_foundation` marks what the others stand on:
    started first, stopped last, with SIGINT and then SIGQUIT as PostgreSQL has it.
    """

    name: str
    argv: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    spawn: Spawn | None = None
    is_foundation: bool = False

    @property
    def stop_signal(self) -> signal.Signals:
        """Asks the program to end; also sent by the kernel when the supervisor dies."""
        return signal.SIGINT if self.is_foundation else signal.SIGTERM


class Child:
    """A running or waiting child: its process, its pipe and its back-off."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self.pipe = -1
        self.buffer = b""
        self.exit_code: int | None = None
        self.started_at = 0.0
        self.restart_at: float | None = None
        self.back_off_s = BACK_OFF_FIRST_S

    @property
    def is_running(self) -> bool:
        """Whether the process exists and was not reaped yet."""
        return self.process is not None and self.process.returncode is None

    def start(self, before_exec: Callable[[], None]) -> None:
        """Start the program in a session and process group of its own."""
        self.restart_at = None
        self.started_at = time.monotonic()
        if self.spec.spawn is not None:
            self.process = self.spec.spawn(before_exec)
            return
        self.pipe, writing_end = os.pipe()
        os.set_blocking(self.pipe, False)
        try:
            self.process = subprocess.Popen(
                list(self.spec.argv),
                stdin=subprocess.DEVNULL,
                stdout=writing_end,
                stderr=writing_end,
                env={**os.environ, **self.spec.env},
                start_new_session=True,
                preexec_fn=before_exec,
            )
        except BaseException:
            os.close(self.pipe)
            self.pipe = -1
            raise
        finally:
            os.close(writing_end)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program itself."""
        if self.process is not None and self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def kill_group(self) -> None:
        """Kill the program and whatever it left in its process group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def ended(self, exit_code: int, now: float) -> float:
        """Note the end and return in how many seconds to start again."""
        self.exit_code = exit_code
        if now - self.started_at >= HEALTHY_AFTER_S:
            self.back_off_s = BACK_OFF_FIRST_S
        delay_s = self.back_off_s
        self.restart_at = now + delay_s
        self.back_off_s = min(self.back_off_s * 2, BACK_OFF_LIMIT_S)
        return delay_s


class Supervisor:
    """Starts the children, restarts those that die, and leaves nothing behind."""

    def __init__(
        self,
        *,
        children: Sequence[ChildSpec],
        setup: ChildSpec | None = None,
        is_up: Callable[[], bool] | None = None,
        greeting: str = "",
        out: TextIO | None = None,
    ) -> None:
        """`setup` runs to its end before the services start; `greeting` is printed as
        soon as `is_up` says so, asked every 50 ms."""
        self._children = [Child(spec) for spec in children]
        self._setup = Child(setup) if setup is not None else None
        self._is_up = is_up
        self._greeting = greeting
        self._out: TextIO | None = out or sys.stdout
        self._is_colored = self._out.isatty()
        self._selector = selectors.DefaultSelector()
        self._is_stopping = False
        self._is_hurried = False
        self._stop_asked_at: float | None = None
        self._is_interruptible = False
        self._libc = ctypes.CDLL(None)

    # --- The whole life ----------------------------------------------------------
    def run(self) -> int:
        """Run until SIGINT, SIGTERM or SIGHUP; 0 then, 1 when the set-up failed."""
        with self._signals():
            self._prctl(PR_SET_CHILD_SUBREAPER, 1)
            try:
                return self._live()
            except StopRequested:
                return 0
            finally:
                self._stop()

    def _live(self) -> int:
        for child in self._foundations:
            self._start(child)
        if self._setup is not None:
            self._start(self._setup)
            while self._setup.exit_code is None and not self._is_stop_asked:
                self._turn(None)
            if self._setup.exit_code and not self._is_stop_asked:
                self._say("portal", "The set-up failed, see above.")
                return 1
        for child in self._services:
            self._start(child)
        while not self._is_stop_asked:
            if self._is_up is not None and self._is_up():
                self._is_up = None
                self._say("portal", self._greeting)
            self._turn(None if self._is_up is None else 0.05)
        return 0

    @property
    def _is_stop_asked(self) -> bool:
        return self._stop_asked_at is not None

    @property
    def _foundations(self) -> list[Child]:
        return [child for child in self._children if child.spec.is_foundation]

    @property
    def _services(self) -> list[Child]:
        return [child for child in self._children if not child.spec.is_foundation]

    def _turn(self, timeout_s: float | None) -> None:
        """Wait for something to happen and deal with it."""
        now = time.monotonic()
        due = [c.restart_at - now for c in self._children if c.restart_at is not None]
        waits = [*due, *([timeout_s] if timeout_s is not None else [])]
        for key, _ in self._selector.select(max(0.0, min(waits)) if waits else None):
            if isinstance(key.data, Child):
                self._forward(key.data)
            else:
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, 4096)
        self._reap()
        for child in self._children:
            if child.restart_at is not None and child.restart_at <= time.monotonic():
                self._start(child)

    def _start(self, child: Child) -> None:
        def before_exec() -> None:
            # A supervisor killed with SIGKILL can't stop anybody: the kernel does.
            self._prctl(PR_SET_PDEATHSIG, child.spec.stop_signal)
            if os.getppid() != supervisor:
                os._exit(1)

        if self._is_stop_asked or self._is_stopping:
            return
        supervisor = os.getpid()
        # Only a start that blocks (the database's first one) has to be interrupted.
        self._is_interruptible = child.spec.spawn is not None
        try:
            child.start(before_exec)
        except Exception as error:
            if child.exit_code is None:
                raise  # it never worked: the caller can explain
            delay_s = child.ended(1, time.monotonic())
            self._say(child.spec.name, f"{error}\nTrying again in {delay_s:g} s.")
            return
        finally:
            self._is_interruptible = False
        if child.pipe >= 0:
            self._selector.register(child.pipe, selectors.EVENT_READ, child)
        # `spawn` may have reaped it already, and nobody else would tell us.
        if child.process is not None and child.process.returncode is not None:
            self._bury(child, child.process.returncode)

    def _reap(self) -> None:
        """Collect everything that ended, adopted grandchildren included."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self._everyone():
                if child.process is not None and child.process.pid == pid:
                    child.process.returncode = os.waitstatus_to_exitcode(status)
                    self._bury(child, child.process.returncode)

    def _bury(self, child: Child, exit_code: int) -> None:
        child.kill_group()
        self._forward(child)
        if child.pipe >= 0:
            self._selector.unregister(child.pipe)
            os.close(child.pipe)
            child.pipe = -1
        delay_s = child.ended(exit_code, time.monotonic())
        if child is self._setup or self._is_stop_asked or self._is_stopping:
            child.restart_at = None
            return
        reason = (
            f"was killed by {signal.Signals(-exit_code).name}"
            if exit_code < 0
            else f"ended with exit code {exit_code}"
        )
        self._say(child.spec.name, f"{reason}; starting again in {delay_s:g} s.")

    # --- The end -----------------------------------------------------------------
    def _stop(self) -> None:
        """Stop services, then foundations, then whatever is still a descendant."""
        self._is_stopping = True
        began_at = time.monotonic()
        for child in self._children:
            child.restart_at = None
        if any(child.is_running for child in self._everyone()):
            self._say("portal", "Stopping.")
        services = [c for c in self._everyone() if not c.spec.is_foundation]
        self._end(services, signal.SIGTERM, until=began_at + SERVICES_KILL_S)
        self._kill(services)
        if not self._is_hurried:
            until = began_at + FOUNDATIONS_QUIT_S
            self._end(self._foundations, signal.SIGINT, until=until)
        until = began_at + FOUNDATIONS_KILL_S
        self._end(self._foundations, signal.SIGQUIT, until=until, may_hurry=False)
        self._kill(self._foundations)
        self._sweep()

    def _end(
        self,
        children: Sequence[Child],
        number: signal.Signals,
        *,
        until: float,
        may_hurry: bool = True,
    ) -> None:
        """Send `number` and wait, but not once a second Ctrl-C has asked to hurry."""
        for child in children:
            child.send(number)
        while any(child.is_running for child in children):
            left_s = until - time.monotonic()
            if left_s <= 0 or (may_hurry and self._is_hurried):
                return
            self._turn(left_s)

    def _kill(self, children: Sequence[Child]) -> None:
        for child in children:
            if child.is_running:
                self._say(child.spec.name, "does not stop; killed.")
                child.kill_group()

    def _everyone(self) -> list[Child]:
        return [*self._children, *([self._setup] if self._setup is not None else [])]

    def _sweep(self) -> None:
        """Kill and reap the descendants that outlived their parents."""
        deadline = time.monotonic() + 0.4
        while time.monotonic() < deadline:
            self._reap()
            # As their subreaper we are the parent of every orphan.
            orphans = _children_of(os.getpid())
            if not orphans:
                return
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    # --- Words and signals ---------------------------------------------------------
    def _forward(self, child: Child) -> None:
        """Print the complete lines that the child wrote."""
        while child.pipe >= 0:
            try:
                chunk = os.read(child.pipe, LINE_LIMIT_BYTES)
            except BlockingIOError:
                break
            if not chunk:
                if child.is_running:
                    self._selector.unregister(child.pipe)
                    os.close(child.pipe)
                    child.pipe = -1
                break
            child.buffer += chunk
            *lines, child.buffer = child.buffer.split(b"\n")
            if len(child.buffer) > LINE_LIMIT_BYTES:
                lines.append(child.buffer)
                child.buffer = b""
            for line in lines:
                self._say(child.spec.name, line.decode(errors="replace"))
        if not child.is_running and child.buffer:
            self._say(child.spec.name, child.buffer.decode(errors="replace"))
            child.buffer = b""

    def _say(self, name: str, text: str) -> None:
        prefix = f"{name:<8} | "
        if self._is_colored:
            prefix = f"\x1b[{COLORS.get(name, 33)}m{prefix}\x1b[0m"
        if self._out is not None:
            try:
                for line in text.splitlines() or [""]:
                    self._out.write(f"{prefix}{line}\n")
                self._out.flush()
            except OSError:
                # The terminal or the pipe behind us is gone; the work goes on.
                self._out = None

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        reading_end, writing_end = os.pipe()
        for end in (reading_end, writing_end):
            os.set_blocking(end, False)
        self._selector.register(reading_end, selectors.EVENT_READ)
        wake_up = signal.set_wakeup_fd(writing_end, warn_on_full_buffer=False)
        stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        former = {number: signal.signal(number, self._on_stop) for number in stops}
        # A handler is needed for the wake-up pipe to hear of ended children.
        former[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wake_up)
            self._selector.close()
            os.close(reading_end)
            os.close(writing_end)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._stop_asked_at is None:
            self._stop_asked_at = now
        elif now - self._stop_asked_at > ECHO_S:
            self._is_hurried = True
        if self._is_interruptible:
            self._is_interruptible = False
            raise StopRequested

    def _prctl(self, option: int, value: int) -> None:
        if sys.platform == "linux":
            self._libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def _children_of(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]
