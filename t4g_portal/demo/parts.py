"""The parts of the demo's platform, the ways to break each, and which are broken now.

The page writes a file and the platform reads it: nothing else stands between the two.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from t4g_portal.demo.marking import folder, write

Words = str | Promise


@dataclass(frozen=True, slots=True)
class Mode:
    """One way for a part to be broken."""

    name: str
    verb: Words
    means: Words


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that can be broken. `monitor`: the name of what watches it."""

    name: str
    monitor: str
    modes: Sequence[Mode]

    def mode(self, name: str) -> Mode | None:
        """Return a mode by its name, None for a part that is well."""
        return next((mode for mode in self.modes if mode.name == name), None)


_ERROR = Mode("error", _("Fail"), _("answers every request with HTTP 500"))
_HANG = Mode("hang", _("Hang"), _("takes requests and never answers"))
_SLOW = Mode("slow", _("Slow down"), _("takes three seconds for every answer"))
_WRONG = Mode("wrong", _("Answer nonsense"), _("answers quickly, but the wrong thing"))

PARTS: Sequence[Part] = (
    Part("shop", "Shop front", (_ERROR, _HANG, _SLOW, _WRONG)),
    Part("api", "Shop API", (_ERROR, _HANG, _SLOW, _WRONG)),
    Part(
        "login",
        "Login",
        (
            _ERROR,
            _HANG,
            Mode(
                "expired",
                _("Let the certificate expire"),
                _("shows a certificate that expired yesterday"),
            ),
        ),
    ),
    Part(
        "database",
        "Database",
        (Mode("refuse", _("Stop"), _("refuses every connection")),),
    ),
    Part("reports", "Reports", (_SLOW, _ERROR)),
    Part(
        "jobs",
        "Nightly jobs",
        (Mode("silent", _("Silence"), _("says no more that it is alive")),),
    ),
)
BY_NAME: Mapping[str, Part] = {part.name: part for part in PARTS}


def modes(data_dir: Path) -> dict[str, str]:
    """Return the mode of each part that is broken."""
    try:
        found = json.loads(_file(data_dir).read_text())
    except (OSError, ValueError):
        return {}
    return {
        name: mode
        for name, mode in found.items()
        if name in BY_NAME and BY_NAME[name].mode(mode) is not None
    }


def turn(data_dir: Path, *, part: str, mode: str) -> None:
    """Break a part in a way, or mend it: an empty `mode`.

    Raises KeyError for a part or a mode that doesn't exist.
    """
    if mode and BY_NAME[part].mode(mode) is None:
        raise KeyError(mode)
    wanted = {**modes(data_dir), BY_NAME[part].name: mode}
    write(
        _file(data_dir), json.dumps({name: one for name, one in wanted.items() if one})
    )


def _file(data_dir: Path) -> Path:
    return folder(data_dir) / "modes.json"
