"""Reading catalogs: a `.po` as people write it, a `.mo` as Django loads it."""

from __future__ import annotations

import ast
import gettext
import re
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

LOCALE = Path(settings.BASE_DIR) / "locale"
FRENCH = LOCALE / "fr" / "LC_MESSAGES" / "django.po"
_LINE = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[\d\])?)?\s*(".*")')


@dataclass
class Entry:
    """One text of a catalog with its translations, several where it has plurals."""

    context: str = ""
    text: str = ""
    plural: str = ""
    translations: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{self.context}: {self.text}" if self.context else self.text


def read_po(path: Path) -> list[Entry]:
    """Return the entries of a `.po` without its header."""
    blocks = path.read_text(encoding="utf-8").split("\n\n")
    return [entry for block in blocks if (entry := _entry(block)).text]


def _entry(block: str) -> Entry:
    entry = Entry()
    parts: dict[str, str] = {}
    flags: set[str] = set()
    name = ""
    for line in block.splitlines():
        if line.startswith("#,"):
            flags |= {flag.strip() for flag in line[2:].split(",")}
        found = _LINE.fullmatch(line)
        if found:
            name = found[1] or name
            parts[name] = parts.get(name, "") + ast.literal_eval(found[2])
    entry.context = parts.get("msgctxt", "")
    entry.text = parts.get("msgid", "")
    entry.plural = parts.get("msgid_plural", "")
    entry.translations = [
        parts[name] for name in sorted(parts) if name.startswith("msgstr")
    ]
    entry.flags = flags
    return entry


def read_mo(path: Path) -> dict[object, str]:
    """Return what a compiled catalog holds, as `gettext` loads it."""
    with path.open("rb") as file:
        loaded = dict(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]
    del loaded[""]
    return loaded


def compiled(entries: list[Entry]) -> dict[object, str]:
    """Return what a compiled catalog of these entries must hold."""
    found: dict[object, str] = {}
    for entry in entries:
        key = f"{entry.context}\x04{entry.text}" if entry.context else entry.text
        if entry.plural:
            found |= {(key, n): text for n, text in enumerate(entry.translations)}
        else:
            found[key] = entry.translations[0]
    return found
