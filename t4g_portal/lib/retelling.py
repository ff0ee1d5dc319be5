"""Stored sentences, said again in the reader's language.

What the engine stores for people ("HTTP 503, expected 200–299") is one row with many
readers, so it is stored in the source's language and said in theirs when it is shown
or sent. Its templates carry the context "stored" in the catalog: the one that a stored
sentence was made from is found there, and filled with the same values. What matches no
template, such as a person's own words, stays as it is.

    with source_language():
        message = pgettext("stored", "HTTP %(status)d, expected …") % {…}
    …
    shown = retold(message)
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from typing import Any

import re2
from django.conf import settings
from django.utils import translation
from django.utils.formats import date_format, get_format
from django.utils.translation import gettext, ngettext, pgettext, trans_real

_PREFIX = "stored\x04"
# Longer lines are what somebody sent us; none of our sentences comes near.
_MAX_LINE = 2_000
# A sentence in a sentence, a list of phases, and a little more.
_MAX_DEPTH = 10
_HOLE = re.compile(r"%(?:\((\w+)\)[-+0-9.]*([a-z])|%)")
_FILLINGS = {"d": r"(-?\d+)", "f": r"(-?\d+\.\d+)"}
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_AMOUNT = re.compile(r"(-?\d+(?:\.\d+)?)(?:([ \u00a0])(ms|s|min|h|days?|d|%))?")
_AMOUNTS = re.compile(rf"{_AMOUNT.pattern}(?:\u00a0{_AMOUNT.pattern})?")


def source_language() -> AbstractContextManager[None]:
    """Speak the language that sentences are stored in."""
    return translation.override(settings.LANGUAGE_CODE)


def retold(text: str) -> str:
    """Say a stored text in the active language, line by line."""
    language = translation.get_language()
    if not text or language in (None, settings.LANGUAGE_CODE):
        return text
    return "\n".join(_retold_line(line, language) for line in text.split("\n"))


@lru_cache(maxsize=10_000)
def _retold_line(line: str, language: str) -> str:
    return _tell(line, _known(language), 0) if len(line) <= _MAX_LINE else line


@dataclass(frozen=True, slots=True)
class _Template:
    """A sentence of the source with holes, and how a language says it."""

    pattern: Any
    # The longest of its own words: without them, the pattern needn't be asked.
    clue: str
    names: tuple[str, ...]
    said: str

    def read(self, text: str) -> dict[str, str] | None:
        """Return what fills the holes; None when the text is another sentence."""
        found = self.pattern.fullmatch(text) if self.clue in text else None
        return dict(zip(self.names, found.groups(), strict=True)) if found else None

    def fill(self, values: dict[str, str]) -> str:
        """Say it; the values are formatted already."""
        return _HOLE.sub(
            lambda hole: values[hole[1]] if hole[1] else "%",
            self.said,
        )


@dataclass(frozen=True, slots=True)
class _Known:
    """The stored sentences that a language can say."""

    whole: dict[str, str]
    # Those with the most words of their own first: they are the surest.
    templates: tuple[_Template, ...]


@cache
def _known(language: str) -> _Known:
    whole: dict[str, str] = {}
    templates: dict[str, str] = {}
    catalog: Any = trans_real.translation(language)
    for key, said in catalog._catalog.items():
        if not isinstance(key, str) or not key.startswith(_PREFIX) or not said:
            continue
        source = key.removeprefix(_PREFIX)
        if _HOLE.search(source) is None:
            whole[source] = said
        elif _words_of_its_own(source):
            templates[source] = said
    return _Known(
        whole=whole,
        templates=tuple(
            _template(source, templates[source])
            for source in sorted(templates, key=_words_of_its_own, reverse=True)
        ),
    )


def _words_of_its_own(source: str) -> int:
    return sum(map(str.isalpha, _HOLE.sub("", source)))


def _template(source: str, said: str) -> _Template:
    pattern, names, end = "", [], 0
    for hole in _HOLE.finditer(source):
        pattern += re.escape(source[end : hole.start()])
        pattern += _FILLINGS.get(hole[2], "(.+)") if hole[1] else "%"
        names += [hole[1]] if hole[1] else []
        end = hole.end()
    return _Template(
        # RE2, because texts of other people are matched, too: its time is linear.
        pattern=re2.compile(pattern + re.escape(source[end:])),
        clue=max(_HOLE.split(source)[::3], key=len),
        names=tuple(names),
        said=said,
    )


def _tell(text: str, known: _Known, depth: int) -> str:
    if text in known.whole:
        return known.whole[text]
    if _AMOUNTS.fullmatch(text):
        return _AMOUNT.sub(_amount, text)
    if _DATE.fullmatch(text):
        return _day(text)
    if depth == _MAX_DEPTH:
        return text
    for template in known.templates:
        values = template.read(text)
        if values is not None:
            return template.fill(
                {name: _tell(value, known, depth + 1) for name, value in values.items()}
            )
    return _tell_parts(text, known, depth)


def _tell_parts(text: str, known: _Known, depth: int) -> str:
    """Tell what was put together of sentences, when at least one of them is ours."""
    for separator, end, joint in (
        ("; ", "", pgettext("stored", "%(one)s; %(other)s")),
        (": ", "", pgettext("stored", "%(one)s: %(other)s")),
        (" (", ")", pgettext("stored", "%(one)s (%(other)s)")),
        (", ", "", pgettext("stored", "%(one)s, %(other)s")),
    ):
        one, found, other = text.removesuffix(end).partition(separator)
        if not found or not text.endswith(end):
            continue
        told = {
            "one": _tell(one, known, depth + 1),
            "other": _tell(other, known, depth + 1),
        }
        if told != {"one": one, "other": other}:
            return joint % told
    return text


def _amount(found: re.Match[str]) -> str:
    """Say a figure as the language writes it: "2.5 d" is "2,5 j" in French."""
    number, space, unit = found.groups()
    shown = number.replace(".", str(get_format("DECIMAL_SEPARATOR")))
    match unit:
        case None:
            return shown
        case "d":
            return gettext("%(count)d d").replace("%(count)d", shown)
        case "day" | "days":
            frame = ngettext("%(count)s day", "%(count)s days", abs(int(float(number))))
            return frame % {"count": shown}
    return f"{shown}{space}{unit}"


def _day(text: str) -> str:
    try:
        return date_format(date.fromisoformat(text), "DATE_FORMAT")
    except ValueError:
        return text
