"""What a template tells a verifier: checked when it is written, read when it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import pgettext

from checklists.verifiers.base import Parameter
from kpis.reading import UnableToRead
from kpis.sources.json_paths import path_problem
from kpis.sources.measures import parse_series
from monitors.probes.http import parse_statuses

MAX_TEXT = 500
MAX_TEXTS = 50


class UnableToParse(Exception):
    """A template asks in a way that makes no sense; `problems` says by parameter why."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__("; ".join(f"{name}: {why}" for name, why in problems.items()))


def problems(declared: Sequence[Parameter], raw: object) -> dict[str, str]:
    """Return what is wrong with what a template sets, by parameter."""
    if not isinstance(raw, Mapping):
        return {"": pgettext("stored", "Give an object with parameters")}
    return dict(_problems(declared, raw))


def parse(declared: Sequence[Parameter], raw: object) -> dict[str, Any]:
    """Return the value of each parameter that is declared. Raises UnableToParse."""
    found = problems(declared, raw)
    if found or not isinstance(raw, Mapping):
        raise UnableToParse(found)
    return {one.name: raw.get(one.name, one.default) for one in declared}


def _problems(
    declared: Sequence[Parameter], raw: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    known = {one.name: one for one in declared}
    for name in raw:
        if name not in known:
            yield str(name)[:50], pgettext("stored", "There is no such parameter")
    for name, one in known.items():
        if name not in raw:
            if one.is_required:
                yield name, pgettext("stored", "It is needed")
            continue
        problem = KINDS[one.kind](one, raw[name])
        if problem:
            yield name, problem


def _text_problem(one: Parameter, value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
        return pgettext("stored", "Give a text of at most %(count)d characters") % {
            "count": MAX_TEXT
        }
    if one.is_required and not value.strip():
        return pgettext("stored", "It is needed")
    return ""


def _texts_problem(one: Parameter, value: object) -> str:
    if not isinstance(value, list) or len(value) > MAX_TEXTS:
        return pgettext("stored", "Give a list of at most %(count)d texts") % {
            "count": MAX_TEXTS
        }
    if one.is_required and not value:
        return pgettext("stored", "Name at least one")
    for text in value:
        if not isinstance(text, str) or not text.strip() or _text_problem(one, text):
            return pgettext("stored", "Give a list of texts, none of them empty")
    return ""


def _integer_problem(one: Parameter, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        return pgettext("stored", "Give a whole number")
    if not one.minimum <= value <= one.maximum:
        return pgettext("stored", "Give a number from %(least)d to %(most)d") % {
            "least": one.minimum,
            "most": one.maximum,
        }
    return ""


def _switch_problem(_one: Parameter, value: object) -> str:
    return "" if isinstance(value, bool) else pgettext("stored", "Say true or false")


def _choice_problem(one: Parameter, value: object) -> str:
    known = [name for name, _label in one.choices]
    if value in known:
        return ""
    return pgettext("stored", "Choose one of: %(names)s") % {
        "names": ", ".join(filter(None, known))
    }


def _choices_problem(one: Parameter, value: object) -> str:
    return _texts_problem(one, value) or next(
        filter(None, (_choice_problem(one, text) for text in value)),  # type: ignore[attr-defined]
        "",
    )


def _url_problem(one: Parameter, value: object) -> str:
    return _text_problem(one, value) or _address_problem(value)


def _urls_problem(one: Parameter, value: object) -> str:
    return _texts_problem(one, value) or next(
        filter(None, map(_address_problem, value)),  # type: ignore[call-overload]
        "",
    )


def _address_problem(value: Any) -> str:
    try:
        parts = urlsplit(value)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname)
        has_secret = "@" in parts.netloc
    except ValueError:
        is_whole = has_secret = False
    if not is_whole:
        return pgettext(
            "stored", "Give a whole address, such as https://example.org/health"
        )
    return (
        pgettext("stored", "Leave user name and password out of the address")
        if has_secret
        else ""
    )


def _statuses_problem(one: Parameter, value: object) -> str:
    problem = _text_problem(one, value)
    if problem or not isinstance(value, str):
        return problem
    try:
        parse_statuses(value)
    except ValueError as error:
        return str(error)
    return ""


def _json_path_problem(one: Parameter, value: object) -> str:
    problem = _text_problem(one, value)
    if problem or not value or not isinstance(value, str):
        return problem
    return path_problem(value)


def _series_problem(one: Parameter, value: object) -> str:
    problem = _texts_problem(one, value)
    if problem or not isinstance(value, list):
        return problem
    try:
        for name in value:
            parse_series(name)
    except UnableToRead as error:
        return error.message
    return ""


KINDS: Mapping[str, Callable[[Parameter, object], str]] = {
    "text": _text_problem,
    "texts": _texts_problem,
    "integer": _integer_problem,
    "switch": _switch_problem,
    "choice": _choice_problem,
    "choices": _choices_problem,
    "url": _url_problem,
    "urls": _urls_problem,
    "statuses": _statuses_problem,
    "json_path": _json_path_problem,
    "series": _series_problem,
}
