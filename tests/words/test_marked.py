"""What people read asks for a translation: a scan of templates and sources.

`test_catalog` can only miss what is marked; this finds what isn't.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings
from django.template.base import Lexer, TokenType

BASE = Path(settings.BASE_DIR)
APPS = ["checklists", "incidents", "kpis", "monitors", "notifications", "telemetry"]
# The same in every language, or written for machines.
SAME_EVERYWHERE = {
    *["JSON", "MTTA", "MTTR", "OK", "p50", "p95", "p99", "REST API", "T4G"],
    *["notranslate", "Slack", "HTTP", "SHA-256"],
    # Examples of what is entered.
    "ana@example.org, +33 6 12 34 56 78, U012AB3CD",
}
# Classes of CSS, and the API's own pages, which are English (ADR 9).
NOT_SCANNED = {"templates/incidents/_tone.html", "templates/api/docs.html"}
_SPOKEN_ATTRIBUTES = {"alt", "aria-label", "placeholder", "title", "data-label"}
_SILENT_ELEMENTS = {"script", "style", "code", "kbd", "pre"}
_BLOCKS = {"blocktranslate": "endblocktranslate", "comment": "endcomment"}
_BLOCKS["blocktrans"] = "endblocktrans"
_WORD = re.compile(r"[^\W\d_]{2,}")
_ADDRESS = re.compile(r"https?://\S+")
# Inside stands the name of a picture, and screen readers are told to skip it.
_ICON = "material-symbols-outlined"
# What stands for a value that a tag fills in.
_FILLED = "\ue000"


@pytest.mark.parametrize(
    "path",
    sorted((BASE / "templates").rglob("*.html")),
    ids=lambda path: str(path.relative_to(BASE)),
)
def test_a_template_says_nothing_untranslated(path: Path):
    if str(path.relative_to(BASE)) not in NOT_SCANNED:
        reader = _Reader()
        reader.feed(_without_tags(path.read_text(encoding="utf-8")))

        assert not reader.said


def _without_tags(source: str) -> str:
    """Return the HTML that isn't translated, with a mark for each tag."""
    kept, until = [], ""
    for token in Lexer(source).tokenize():
        name = (token.contents.split() or [""])[0]
        if token.token_type == TokenType.BLOCK:
            if not until or name == until:
                until = "" if until else _BLOCKS.get(name, "")
            kept.append(_FILLED)
        elif until:
            continue
        elif token.token_type == TokenType.TEXT:
            kept.append(token.contents)
        else:
            kept.append(_FILLED)
    return "".join(kept)


class _Reader(HTMLParser):
    """Collects what a person would read or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._silent = 0
        self._is_icon = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT_ELEMENTS
        named = dict(attrs)
        is_skipped = named.get("aria-hidden") == "true"
        self._is_icon = _ICON in (named.get("class") or "").split() and is_skipped
        for name, value in attrs:
            if name in _SPOKEN_ATTRIBUTES:
                self._hear(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in _SILENT_ELEMENTS
        self._is_icon = False

    def handle_data(self, data: str) -> None:
        if not (self._silent or self._is_icon):
            self._hear(data)

    def _hear(self, text: str) -> None:
        for part in text.split(_FILLED):
            words = _ADDRESS.sub("", " ".join(part.split()))
            if _WORD.search(words) and words not in SAME_EVERYWHERE:
                self.said.append(words)


# Keywords whose text is shown, and calls whose first text is.
_SHOWN_KEYWORDS = {
    *["verbose_name", "verbose_name_plural", "help_text", "label", "description"],
    *["short_description", "empty_label", "search_help_text", "subtitle"],
}
_SHOWING_CALLS = {"ValidationError", "UnableToAct", "UnableToEnqueue", "UnableToProbe"}
_MESSAGES = {"success", "error", "warning", "info"}
# Said to programs, to the operator's terminal, or to the log.
_ENGLISH = re.compile(
    r"(^|/)(migrations|management|api)/|^t4g_portal/(launcher|supervisor|embedded_db)"
)


def _sources() -> list[Path]:
    found = [
        path for app in [*APPS, "t4g_portal"] for path in (BASE / app).rglob("*.py")
    ]
    return sorted(
        path for path in found if not _ENGLISH.search(str(path.relative_to(BASE)))
    )


def test_python_shows_nothing_untranslated():
    said = [
        f"{path.relative_to(BASE)}:{node.lineno}: {node.value}"
        for path in _sources()
        for node in _shown(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node.value, str)
        and _WORD.search(node.value)
        and node.value not in SAME_EVERYWHERE
    ]

    assert not said


def _shown(tree: ast.Module) -> Iterator[ast.Constant]:
    """Find the bare texts in places that people read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _shown_by(node)
        elif isinstance(node, ast.ClassDef) and any(
            getattr(base, "attr", "").endswith("Choices") for base in node.bases
        ):
            for line in node.body:
                if isinstance(line, ast.Assign):
                    yield from _labels(line.value)
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id in _SHOWN_KEYWORDS - {"label"}
            for target in node.targets
        ):
            yield from _bare(node.value)


def _shown_by(call: ast.Call) -> Iterator[ast.Constant]:
    for keyword in call.keywords:
        if keyword.arg in _SHOWN_KEYWORDS:
            yield from _bare(keyword.value)
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    owner = getattr(getattr(call.func, "value", None), "id", "")
    if owner == "models" and name.endswith("Field") and call.args:
        yield from _bare(call.args[0])
    elif owner == "messages" and name in _MESSAGES and len(call.args) > 1:
        yield from _bare(call.args[1])
    elif name in _SHOWING_CALLS and call.args:
        yield from _bare(call.args[0])
    elif name == "add_error" and len(call.args) > 1:
        yield from _bare(call.args[1])


def _labels(value: ast.expr) -> Iterator[ast.Constant]:
    if isinstance(value, ast.Tuple) and len(value.elts) == 2:
        yield from _bare(value.elts[1])
    elif isinstance(value, ast.Constant):
        yield value


def _bare(value: ast.expr) -> Iterator[ast.Constant]:
    """A text as it stands, alone, in an f-string or with values put in."""
    match value:
        case ast.Constant():
            yield value
        case ast.JoinedStr():
            yield from (part for part in value.values if isinstance(part, ast.Constant))
        case ast.BinOp():
            yield from _bare(value.left)
        case ast.IfExp():
            yield from _bare(value.body)
            yield from _bare(value.orelse)
