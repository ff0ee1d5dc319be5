"""Which data directory is a demo's, so that made-up and real data never meet.

Read with the settings by every process, so it imports no Django app.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_MARK = "demo.mark"
_MARK_TEXT = "Everything in this directory is made up. `make demo` runs it.\n"
# What a portal that has run once leaves in its directory.
_TRACES = ("pg", "keys", "broker", "run.lock")
# The row that marks the database itself, wherever it is.
DATABASE_MARK = "demo"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the demo's platform and stand-ins listen, on loopback."""

    http: int
    https: int
    database: int
    mail: int


def check(*, data_dir: Path, is_demo: bool, is_production: bool) -> None:
    """Mark a fresh directory as a demo's; refuse one that belongs to the other side.

    Raises ImproperlyConfigured, saying what to do.
    """
    is_marked = (data_dir / _MARK).is_file()
    if not is_demo:
        if is_marked:
            raise ImproperlyConfigured(
                f"{data_dir} holds demo data. Run it with `make demo`, or give this "
                "portal a directory of its own: PORTAL_DATA_DIR=…"
            )
        return
    if is_production:
        raise ImproperlyConfigured(
            "PORTAL_ENV is production: a demo never runs there. Unset PORTAL_DEMO."
        )
    if is_marked:
        return
    if any((data_dir / name).exists() for name in _TRACES):
        raise ImproperlyConfigured(
            f"{data_dir} belongs to a portal with real data. Give the demo a directory "
            "of its own: PORTAL_DATA_DIR=var/demo make demo"
        )
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / _MARK).write_text(_MARK_TEXT)


def folder(data_dir: Path) -> Path:
    """Return where the demo keeps what is its own, made when missing."""
    path = data_dir / "demo"
    path.mkdir(parents=True, exist_ok=True)
    return path


def read_ports(data_dir: Path) -> Ports:
    """Return the ports that `choose_ports` wrote down."""
    return Ports(**json.loads((folder(data_dir) / "ports.json").read_text()))


def choose_ports(data_dir: Path) -> Ports:
    """Return ports that are free now: the last ones where possible."""
    try:
        known = read_ports(data_dir)
    except (OSError, ValueError, TypeError):
        known = None
    if known is not None and all(map(_is_free, asdict(known).values())):
        return known
    with ExitStack() as stack:
        # All held at once, or one could be given twice.
        found = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for _name in range(4)
        ]
    ports = Ports(*found)
    write(folder(data_dir) / "ports.json", json.dumps(asdict(ports)))
    return ports


def write(path: Path, text: str) -> None:
    """Replace a file at once, so that nobody reads half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(name).replace(path)


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
