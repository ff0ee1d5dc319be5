"""CPU and memory of a process tree, read from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU seconds (user and system, ended children included) by kind of process."""

    portal_s: float
    postgres_s: float

    @property
    def total_s(self) -> float:
        return self.portal_s + self.postgres_s

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            portal_s=self.portal_s - other.portal_s,
            postgres_s=self.postgres_s - other.postgres_s,
        )


def tree(root: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(children.get(pid, []))
    return found


def usage(root: int) -> Usage:
    """CPU that a tree has used so far."""
    portal = postgres = 0
    for pid in tree(root):
        fields = _stat(pid)
        if fields:
            ticks = sum(int(value) for value in fields[11:15])
            if _is_postgres(pid):
                postgres += ticks
            else:
                portal += ticks
    return Usage(portal_s=portal / _TICKS, postgres_s=postgres / _TICKS)


def resident_mb(root: int) -> dict[str, float]:
    """Resident megabytes of each process but PostgreSQL's, by its command."""
    sizes = {}
    for pid in tree(root):
        if _is_postgres(pid):
            continue
        for line in _read(Path(f"/proc/{pid}/status")).splitlines():
            if line.startswith("VmRSS:"):
                sizes[f"{pid} {_command(pid)}"] = int(line.split()[1]) / 1024
    return sizes


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the command's name."""
    text = _read(Path(f"/proc/{pid}/stat"))
    return text.rpartition(")")[2].split() if text else []


def _is_postgres(pid: int) -> bool:
    return _read(Path(f"/proc/{pid}/comm")).strip() == "postgres"


def _command(pid: int) -> str:
    words = _read(Path(f"/proc/{pid}/cmdline")).split("\0")
    return " ".join(Path(word).name if "/" in word else word for word in words[:4])


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
