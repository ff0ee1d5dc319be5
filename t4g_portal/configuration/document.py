"""YAML text to a small tree that knows its lines, and back.

Plain values follow YAML 1.2: `on`, `no` and `12:30` are text, only true and false are
booleans. Aliases, tags and repeated keys are refused: a reader of the file would have
to guess what they become.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml
from django.utils.translation import gettext as _

from t4g_portal.configuration.problems import Problem, UnableToImport, UnableToRead

MAX_BYTES = 1024 * 1024
MAX_NODES = 100_000
MAX_DEPTH = 20

# Subsets of what YAML 1.1 reads as numbers, so that both kinds of readers agree.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})(\.[0-9]*)?([eE][-+]?[0-9]{1,3})?")
# Line breaks to YAML, but characters to everybody else.
_BREAKS = re.compile("[\r\x85\u2028\u2029]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Kind(enum.Enum):
    """What a scalar is when nobody says what it should be."""

    TEXT = enum.auto()
    BOOLEAN = enum.auto()
    INTEGER = enum.auto()
    NUMBER = enum.auto()
    NOTHING = enum.auto()


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value, still as written."""

    text: str
    kind: Kind
    line: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    nodes: list[Node]
    line: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Names with their values, and the line of each name."""

    entries: dict[str, Node]
    key_lines: dict[str, int]
    line: int


Node = Scalar | Items | Mapping


def read(data: bytes) -> Mapping:
    """Return the one mapping that a file holds; raises UnableToImport."""
    if len(data) > MAX_BYTES:
        raise UnableToImport(
            [
                Problem(
                    1,
                    _("The file is larger than %(size)d KiB. Split it.")
                    % {"size": MAX_BYTES // 1024},
                )
            ]
        )
    reader = _Reader()
    try:
        root = reader.read(_decode(data))
    except UnableToRead as error:
        raise UnableToImport(
            [*reader.problems, Problem(error.line or 1, error.message)]
        ) from error
    if reader.problems:
        raise UnableToImport(reader.problems)
    return root


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnableToRead(
            _("This is not UTF-8 text. Save the file as UTF-8."), line=line
        ) from error


def kind_of(text: str) -> Kind:
    """Return what an unquoted `text` means."""
    if text in {"", "~", "null"}:
        return Kind.NOTHING
    if text in {"true", "false"}:
        return Kind.BOOLEAN
    if _INTEGER.fullmatch(text):
        return Kind.INTEGER
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return Kind.NUMBER
    return Kind.TEXT


def plain(node: Node) -> Any:
    """Return a tree as plain Python values."""
    if isinstance(node, Items):
        return [plain(item) for item in node.nodes]
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.entries.items()}
    if node.kind is Kind.NOTHING:
        return None
    if node.kind is Kind.BOOLEAN:
        return node.text == "true"
    if node.kind is Kind.INTEGER:
        return int(node.text)
    if node.kind is Kind.NUMBER:
        return float(node.text)
    return node.text


@dataclass(slots=True)
class _Reader:
    problems: list[Problem] = field(default_factory=list)
    node_count: int = 0

    def read(self, text: str) -> Mapping:
        try:
            return self._document(self._events(text))
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise UnableToRead(
                _("There is a control character here. Remove it."), line=line
            ) from error
        except yaml.MarkedYAMLError as error:
            raise UnableToRead(
                _("This is not YAML: %(why)s.") % {"why": error.problem},
                line=_line_of_error(error, line_count=len(text.splitlines())),
            ) from error

    @staticmethod
    def _events(text: str) -> Iterator[yaml.Event]:
        # Events only: no Python object is ever made from the file.
        return iter(yaml.parse(text, Loader=yaml.CSafeLoader))

    def _document(self, events: Iterator[yaml.Event]) -> Mapping:
        next(events)  # the stream begins
        if isinstance(next(events), yaml.StreamEndEvent):
            raise UnableToRead(_("The file is empty."), line=1)
        root = self._node(next(events), events, depth=0)
        next(events)  # the document ends
        after = next(events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise UnableToRead(
                _("A second document begins here. One file holds one document."),
                line=_line(after),
            )
        if not isinstance(root, Mapping):
            raise UnableToRead(
                _("The file must hold sections such as `monitors:`."), line=root.line
            )
        return root

    def _node(
        self, event: yaml.Event, events: Iterator[yaml.Event], *, depth: int
    ) -> Node:
        line = _line(event)
        self.node_count += 1
        if self.node_count > MAX_NODES:
            raise UnableToRead(
                _("The file holds more than %(count)d values. Split it.")
                % {"count": MAX_NODES},
                line=line,
            )
        if depth > MAX_DEPTH:
            raise UnableToRead(_("This is nested too deeply."), line=line)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise UnableToRead(
                _("Anchors (&) and aliases (*) are not read. Write the value out."),
                line=line,
            )
        if getattr(event, "tag", None):
            raise UnableToRead(
                _("Tags (!) are not read. Write the plain value."), line=line
            )
        if isinstance(event, yaml.SequenceStartEvent):
            return self._items(events, line, depth)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, line, depth)
        return _scalar(event)

    def _items(self, events: Iterator[yaml.Event], line: int, depth: int) -> Items:
        nodes = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            nodes.append(self._node(event, events, depth=depth + 1))
        return Items(nodes=nodes, line=line)

    def _mapping(self, events: Iterator[yaml.Event], line: int, depth: int) -> Mapping:
        mapping = Mapping(entries={}, key_lines={}, line=line)
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._node(event, events, depth=depth + 1)
            value = self._node(next(events), events, depth=depth + 1)
            if not isinstance(key, Scalar) or key.kind is not Kind.TEXT:
                self.problems.append(
                    Problem(key.line, _("A name must be text. Put it in quotes."))
                )
            elif key.text in mapping.entries:
                self.problems.append(
                    Problem(
                        key.line,
                        _("“%(name)s” stands here a second time; first in line %(n)d.")
                        % {"name": key.text, "n": mapping.key_lines[key.text]},
                    )
                )
            else:
                mapping.entries[key.text] = value
                mapping.key_lines[key.text] = key.line
        return mapping


def _line_of_error(error: yaml.MarkedYAMLError, *, line_count: int) -> int:
    marks: list[Any] = [error.problem_mark, error.context_mark]
    if "end of stream" in str(error.problem):
        # What never ends is wrong where it begins.
        marks.reverse()
    lines = [mark.line + 1 for mark in marks if mark is not None]
    return min(lines[0], line_count) if lines else 1


def _line(event: yaml.Event) -> int:
    mark: Any = event.start_mark
    return int(mark.line) + 1


def _scalar(event: Any) -> Scalar:
    text, line = str(event.value), _line(event)
    if _UNSTORABLE.search(text):
        raise UnableToRead(
            _("There is a character here that can't be stored."), line=line
        )
    is_plain = event.style is None or event.style == ""
    return Scalar(text=text, kind=kind_of(text) if is_plain else Kind.TEXT, line=line)


class _Dumper(yaml.SafeDumper):
    """Indented lists; long text as a block; quotes wherever plain text means more."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None
    if _BREAKS.search(text):
        style = '"'
    elif "\n" in text:
        style = "|"
    elif kind_of(text) is not Kind.TEXT:
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_decimal(dumper: _Dumper, value: Decimal) -> yaml.ScalarNode:
    whole = value == value.to_integral_value()
    kind = "int" if whole else "float"
    text = f"{value.quantize(1) if whole else value.normalize():f}"
    return dumper.represent_scalar(f"tag:yaml.org,2002:{kind}", text)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(Decimal, _represent_decimal)


def write(value: Any) -> str:
    """Return plain Python values as YAML, in the order given."""
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=88
    )
