"""Gather the words of the source into `locale/`, the same way on every machine.

Django's command with the options fixed: no line numbers, no dates, no wrapping and no
guessing, so that a difference in the catalog is a difference in the words. `make
messages` runs it and compiles.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.core.management.commands import makemessages

# The source is English; these are the languages that it is translated into.
LOCALES = ["fr"]
IGNORED = [".venv", "var", "tests", "bench", "staticfiles"]
# xgettext writes when it ran, which changes nothing for anybody.
_DATE = re.compile(r'^"POT-Creation-Date: .*\\n"\n', re.MULTILINE)


class Command(makemessages.Command):
    """`manage.py makemessages`, without options worth remembering."""

    help = "Gathers the translatable texts into locale/. It takes no options."

    # A new text is left empty, and the tests ask for it; a guess might pass unread.
    msgmerge_options = [
        *["-q", "--backup=none", "--update", "--no-fuzzy-matching"],
    ]

    def handle(self, *args: Any, **options: Any) -> None:
        """Gather, with the fixed options over the given ones."""
        options |= {
            "locale": LOCALES,
            "ignore_patterns": IGNORED,
            "add_location": "file",
            "no_wrap": True,
            "no_obsolete": True,
        }
        super().handle(*args, **options)

    def write_po_file(self, potfile: str, locale: str) -> None:
        """Merge one language, and leave the date out."""
        super().write_po_file(potfile, locale)
        written = Path(potfile).parent / locale / "LC_MESSAGES" / "django.po"
        text = written.read_text(encoding="utf-8")
        written.write_text(_DATE.sub("", text, count=1), encoding="utf-8")
