"""What raises alerts, by name: this floor knows only "monitor:12", those above say more.

An app registers its kind of source when it starts (`AppConfig.ready`). A kind that
nobody registered has no names, and its page is looked for under its own name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping

from django.urls import NoReverseMatch, reverse

Names = Callable[[Collection[int]], Mapping[int, str]]

_names: dict[str, Names] = {}
_anchors: dict[str, str] = {}
_pages: dict[str, str] = {}


def register(
    *, kind: str, names: Names, page: str = "", rules_anchor: str = ""
) -> None:
    """Say how the sources of a kind are called.

    `names` takes numbers and answers those it knows, in one query. `page`: the URL name
    of a source's page, which takes its number; `<kind>s:detail` unless given.
    `rules_anchor`: where on that page its thresholds stand.
    """
    _names[kind] = names
    _anchors[kind] = rules_anchor
    if page:
        _pages[kind] = page


def names_of(sources: Collection[str]) -> dict[str, str]:
    """Return the names of sources; those that are gone or unknown are left out.

    One query a kind.
    """
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for source in sources:
        kind, number = _parts(source)
        if kind in _names and number is not None:
            numbers[kind].append(number)
    return {
        f"{kind}:{number}": name
        for kind, wanted in numbers.items()
        for number, name in _names[kind](wanted).items()
    }


def url_of(source: str) -> str:
    """Return the page of a source: `monitor:12` is at `monitors:detail`.

    Unless its kind names another; empty when there is none.
    """
    kind, number = _parts(source)
    if number is None:
        return ""
    try:
        return reverse(_pages.get(kind, f"{kind}s:detail"), args=[number])
    except NoReverseMatch:
        return ""


def rules_url_of(source: str) -> str:
    """Return where the thresholds of a source can be edited; empty when nowhere."""
    anchor = _anchors.get(_parts(source)[0], "")
    url = url_of(source)
    return f"{url}#{anchor}" if url and anchor else ""


def _parts(source: str) -> tuple[str, int | None]:
    kind, _, number = source.partition(":")
    # More digits than any number of the database has.
    is_number = number.isdecimal() and len(number) < 19
    return kind, int(number) if is_number else None
