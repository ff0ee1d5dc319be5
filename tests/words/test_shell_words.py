"""Unfold's shell speaks French as well, though it ships no catalog."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import unfold
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext
from django.utils.translation.template import templatize

UNFOLD = Path(unfold.__file__).parent
_CALLS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
_IN_TEMPLATE = re.compile(r"""(?:gettext|_)\(u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")


def test_every_word_of_unfold_is_said_in_french():
    with translation.override("fr"):
        english = {text for text in _texts() if text and gettext(text) == text}

    # The same in both languages.
    assert english <= {"Action", "Date", "Actions"}, (
        "name these in t4g_portal/shell_words.py and translate them"
    )


def _texts() -> Iterator[str]:
    for path in _sources("py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in _CALLS
                and isinstance(node.args[0], ast.Constant)
            ):
                yield str(node.args[0].value)
    for path in _sources("html"):
        source = templatize(path.read_text(encoding="utf-8"))
        for found in _IN_TEMPLATE.finditer(source):
            text = ast.literal_eval(found[1])
            # A counted text is known under its number only.
            if f"ngettext({found[1]}" not in source:
                yield text


def _sources(kind: str) -> Iterator[Path]:
    """Its contrib packages speak only where they are installed."""
    for path in UNFOLD.rglob(f"*.{kind}"):
        parts = path.relative_to(UNFOLD).parts
        if (
            parts[0] != "contrib"
            or f"unfold.contrib.{parts[1]}" in settings.INSTALLED_APPS
        ):
            yield path
