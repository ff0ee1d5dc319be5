"""From a JSON object to a kind's options dataclass, and from that to a form.

A kind declares each option with `option(…)`; what a person may write is checked here
once, so that a probe starts with values it can use as they are.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import pgettext

from monitors.probes.base import UnableToParse

# How a form asks for an option: `lines` is a text of several lines.
OPTION_TYPES = ("text", "lines", "integer", "number", "switch", "choice")

# A token of RFC 9110, of a sane length.
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")

_RANGE = re.compile(
    r"(-?\d{1,9}(?:\.\d{1,6})?)(?:\s*[-–]\s*(-?\d{1,9}(?:\.\d{1,6})?))?"
)


@dataclasses.dataclass(frozen=True, slots=True)
class OptionField:
    """What a form needs to ask for one option. `default` is as a person types it.

    `is_place`: it says whom the probe talks to, as the target does.
    """

    name: str
    type: str
    label: Any
    help: Any
    choices: tuple[tuple[str, Any], ...]
    default: Any
    minimum: float | None
    maximum: float | None
    is_place: bool = False


def option(
    default: Any,
    *,
    type: str,  # noqa: A002 - the form's word
    label: Any,
    help: Any = "",  # noqa: A002 - the form's word
    choices: tuple[tuple[str, Any], ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    parse: Callable[[str], Any] | None = None,
    is_place: bool = False,
) -> Any:
    """A dataclass field for one option.

    `default` is what a person would type; `parse` turns typed text into the value the
    probe uses and raises ValueError with a sentence. For text, `maximum` is its length.
    """
    metadata = {
        "type": type,
        "label": label,
        "help": help,
        "choices": choices,
        "typed_default": default,
        "minimum": minimum,
        "maximum": maximum,
        "parse": parse,
        "is_place": is_place,
    }
    if parse is not None:
        return dataclasses.field(
            default_factory=lambda: parse(default), metadata=metadata
        )
    return dataclasses.field(default=default, metadata=metadata)


def describe_options(options_type: type[Any]) -> tuple[OptionField, ...]:
    """The form fields of an options dataclass, in its order."""
    return tuple(
        OptionField(
            name=field.name,
            type=field.metadata["type"],
            label=field.metadata["label"],
            help=field.metadata["help"],
            choices=field.metadata["choices"],
            default=field.metadata["typed_default"],
            minimum=field.metadata["minimum"],
            maximum=field.metadata["maximum"],
            is_place=field.metadata["is_place"],
        )
        for field in dataclasses.fields(options_type)
    )


def parse_options(options_type: type[Any], raw: Mapping[str, Any]) -> Any:
    """An instance of `options_type`. Raises UnableToParse naming the option."""
    fields = {field.name: field for field in dataclasses.fields(options_type)}
    for name in raw:
        if name not in fields:
            raise UnableToParse(
                str(name)[:50], pgettext("stored", "There is no such option")
            )
    values = {name: _parse_value(fields[name], value) for name, value in raw.items()}
    options = options_type(**values)
    check = getattr(options, "check", None)
    if check is not None:
        check()
    return options


def _parse_value(field: dataclasses.Field[Any], value: Any) -> Any:
    metadata = field.metadata
    match metadata["type"]:
        case "switch":
            if not isinstance(value, bool):
                raise UnableToParse(field.name, pgettext("stored", "Say true or false"))
        case "integer" | "number":
            _check_number(field, value)
        case _:
            _check_text(field, value)
    if metadata["parse"] is None:
        return value
    try:
        return metadata["parse"](value)
    except ValueError as exc:
        raise UnableToParse(field.name, str(exc)) from exc


def _check_number(field: dataclasses.Field[Any], value: Any) -> None:
    is_integer = field.metadata["type"] == "integer"
    if isinstance(value, bool) or not isinstance(
        value, int if is_integer else int | float
    ):
        raise UnableToParse(
            field.name,
            pgettext("stored", "Give a whole number")
            if is_integer
            else pgettext("stored", "Give a number"),
        )
    minimum, maximum = field.metadata["minimum"], field.metadata["maximum"]
    # Written so that NaN is out of range too.
    if not (
        (minimum is None or value >= minimum) and (maximum is None or value <= maximum)
    ):
        raise UnableToParse(
            field.name,
            pgettext("stored", "Give a number from %(minimum)s to %(maximum)s")
            % {"minimum": minimum, "maximum": maximum},
        )


def _check_text(field: dataclasses.Field[Any], value: Any) -> None:
    if not isinstance(value, str):
        raise UnableToParse(field.name, pgettext("stored", "Give a text"))
    if "\0" in value:
        raise UnableToParse(
            field.name, pgettext("stored", "Control characters aren't allowed")
        )
    maximum = field.metadata["maximum"]
    if maximum is not None and len(value) > maximum:
        raise UnableToParse(
            field.name,
            pgettext("stored", "At most %(count)d characters")
            % {"count": int(maximum)},
        )
    choices = [choice for choice, _label in field.metadata["choices"]]
    if choices and value not in choices:
        raise UnableToParse(
            field.name,
            pgettext("stored", "Choose one of: %(choices)s")
            % {"choices": ", ".join(choices)},
        )
    if field.metadata["type"] == "text" and ("\n" in value or "\r" in value):
        raise UnableToParse(field.name, pgettext("stored", "Write it on one line"))


def parse_ranges(text: str) -> tuple[tuple[float, float], ...]:
    """`"200-299, 301"` as pairs of included borders. Raises ValueError."""
    ranges = []
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        if found is None:
            raise ValueError(pgettext("stored", "Write ranges such as 200-299, 301"))
        low = float(found[1])
        high = float(found[2]) if found[2] is not None else low
        if low > high:
            raise ValueError(
                pgettext("stored", "%(range)s runs backwards") % {"range": part.strip()}
            )
        ranges.append((low, high))
    return tuple(ranges)


def format_ranges(ranges: tuple[tuple[float, float], ...]) -> str:
    """The pairs as people write them: `200–299, 301`."""
    return ", ".join(
        f"{low:g}" if low == high else f"{low:g}–{high:g}" for low, high in ranges
    )
