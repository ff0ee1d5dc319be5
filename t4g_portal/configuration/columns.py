"""One column of a row: how it stands in the file, in a plan and in the database.

A column is made from its Django field, so a new model needs a list of names, no code.
Between the two sides a value is plain: text, number, boolean, None, list, mapping, an
aware datetime; a reference is the natural key of what it refers to.
"""

from __future__ import annotations

from collections.abc import Mapping as Names
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

from t4g_portal.configuration.document import Items, Kind, Mapping, Node, Scalar, plain
from t4g_portal.configuration.problems import UnableToRead
from t4g_portal.configuration.values import canonical, one_line, shown, shown_node
from t4g_portal.lib.secrets import EncryptedTextField, UnableToDecrypt


@dataclass(frozen=True, slots=True)
class Column:
    """Text, numbers, booleans: whatever needs no translation."""

    # The Django field; any, since stubs give each kind another generic type.
    field: Any

    @property
    def name(self) -> str:
        """The name of the Django field."""
        return str(self.field.name)

    @property
    def key(self) -> str:
        """The name that stands in the file."""
        return self.name

    @property
    def is_required(self) -> bool:
        """Whether a row must name it."""
        return not (self.field.has_default() or self.field.blank or self.field.null)

    @property
    def default(self) -> Any:
        """The plain value of a row that doesn't name it."""
        return self.field.get_default()

    def read(self, node: Node, environ: Names[str, str]) -> Any:
        """Return the plain value of a node; raises UnableToRead."""
        if self.field.null and isinstance(node, Scalar) and node.kind is Kind.NOTHING:
            return None
        value = self.convert(node)
        self.check_choice(value)
        try:
            self.field.clean(value, None)
        except ValidationError as error:
            raise UnableToRead(" ".join(error.messages)) from error
        return value

    def convert(self, node: Node) -> Any:
        """Return what the node says, in this column's type; raises UnableToRead."""
        raise NotImplementedError

    def check_choice(self, value: Any) -> None:
        """Raise UnableToRead when the column knows all its values and not this one."""
        choices = [str(choice) for choice, _label in self.field.flatchoices]
        if choices and str(value) not in choices and not (value == "" == self.default):
            raise UnableToRead(
                _("%(value)s is not one of %(choices)s.")
                % {"value": shown(value), "choices": ", ".join(choices)}
            )

    def get(self, row: Any) -> Any:
        """Return the plain value of a row of the database."""
        return getattr(row, self.name)

    def stored(self, value: Any) -> Any:
        """Return what the attribute of a row holds for a plain value."""
        return value

    def dump(self, row: Any) -> Any:
        """Return what the file shows of a row of the database."""
        return self.get(row)

    def is_same(self, row: Any, value: Any) -> bool:
        """Whether a row of the database already has this plain value."""
        return bool(self.get(row) == value)

    def show(self, value: Any) -> str:
        """Return a plain value as a diff shows it."""
        return shown(value)


class TextColumn(Column):
    """Text as written: `on`, `1.10` and `007` need no quotes."""

    __slots__ = ()

    def convert(self, node: Node) -> str:
        if not isinstance(node, Scalar):
            raise UnableToRead(_("Text is expected."))
        if node.kind is Kind.NOTHING:
            raise UnableToRead(_("There is no value. Write '' for none."))
        return node.text


class IntegerColumn(Column):
    __slots__ = ()

    def convert(self, node: Node) -> int:
        if not isinstance(node, Scalar) or node.kind is not Kind.INTEGER:
            raise UnableToRead(
                _("A whole number is expected, not %(value)s.")
                % {"value": shown_node(node)}
            )
        return int(node.text)


class NumberColumn(Column):
    __slots__ = ()

    def convert(self, node: Node) -> float:
        if not isinstance(node, Scalar) or node.kind not in {
            Kind.INTEGER,
            Kind.NUMBER,
        }:
            raise UnableToRead(
                _("A number is expected, not %(value)s.") % {"value": shown_node(node)}
            )
        return float(node.text)

    def dump(self, row: Any) -> Any:
        value = self.get(row)
        return int(value) if value is not None and value == int(value) else value


class DecimalColumn(Column):
    """A number that must stay exactly as written, such as a target of 0.1."""

    __slots__ = ()

    def convert(self, node: Node) -> Decimal:
        if not isinstance(node, Scalar) or node.kind not in {
            Kind.INTEGER,
            Kind.NUMBER,
        }:
            raise UnableToRead(
                _("A number is expected, not %(value)s.") % {"value": shown_node(node)}
            )
        return Decimal(node.text)

    def show(self, value: Any) -> str:
        return f"{value.normalize():f}"


class FlagColumn(Column):
    __slots__ = ()

    def convert(self, node: Node) -> bool:
        if not isinstance(node, Scalar) or node.kind is not Kind.BOOLEAN:
            raise UnableToRead(
                _("true or false is expected, not %(value)s.")
                % {"value": shown_node(node)}
            )
        return node.text == "true"


class JsonColumn(Column):
    """A mapping whose names only the model's own check knows."""

    __slots__ = ()

    def convert(self, node: Node) -> Any:
        if not isinstance(node, Mapping):
            raise UnableToRead(_("Names with values are expected."))
        return canonical(plain(node))

    def get(self, row: Any) -> Any:
        return canonical(getattr(row, self.name))

    def is_same(self, row: Any, value: Any) -> bool:
        # In Python 1 == True; in the file they are not the same.
        return one_line(self.get(row)) == one_line(value)


class TextListColumn(Column):
    __slots__ = ()

    def convert(self, node: Node) -> list[str]:
        return _texts(node)


class MomentColumn(Column):
    """A point in time with its offset, shown in the row's own zone if it has one."""

    __slots__ = ()

    def convert(self, node: Node) -> datetime:
        text = node.text if isinstance(node, Scalar) else ""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = datetime.min  # noqa: DTZ901 has no offset, so it is refused below
        if moment.utcoffset() is None:
            raise UnableToRead(
                _("A time with its offset is expected, such as %(example)s.")
                % {"example": "2026-03-01T02:00:00+01:00"}
            )
        # As the database gives it back: a key is compared as text.
        return moment.astimezone(UTC)

    def dump(self, row: Any) -> Any:
        value = self.get(row)
        zone = getattr(row, "time_zone", "") or "UTC"
        return value.astimezone(ZoneInfo(zone)).isoformat() if value else None


class DayColumn(Column):
    """A day, such as 2026-03-01."""

    __slots__ = ()

    def convert(self, node: Node) -> date:
        text = node.text if isinstance(node, Scalar) else ""
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise UnableToRead(
                _("A day is expected, such as %(example)s.") % {"example": "2026-03-01"}
            ) from error

    def dump(self, row: Any) -> Any:
        value = self.get(row)
        return value.isoformat() if value is not None else None


class WallTimeColumn(Column):
    """A time of day on the wall clock: 09:00."""

    __slots__ = ()

    def convert(self, node: Node) -> str:
        text = node.text if isinstance(node, Scalar) else ""
        try:
            found = time.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or found.tzinfo is not None:
            raise UnableToRead(
                _("A time of day is expected, such as %(example)s.")
                % {"example": "09:00"}
            )
        return _wall_time(found)

    @property
    def default(self) -> Any:
        value = self.field.get_default()
        return _wall_time(value) if isinstance(value, time) else value

    def get(self, row: Any) -> Any:
        value = getattr(row, self.name)
        return None if value is None else _wall_time(value)

    def stored(self, value: Any) -> Any:
        return None if value is None else time.fromisoformat(value)


@dataclass(frozen=True, slots=True)
class ReferenceColumn(Column):
    """Another row, by its natural key."""

    # The field of the other model that names its rows.
    target_key: str

    @property
    def target(self) -> Any:
        """The model referred to."""
        return self.field.related_model

    @property
    def default(self) -> Any:
        return None

    def read(self, node: Node, environ: Names[str, str]) -> Any:
        if self.field.null and isinstance(node, Scalar) and node.kind is Kind.NOTHING:
            return None
        return _reference(node)

    def get(self, row: Any) -> Any:
        other = getattr(row, self.name)
        return None if other is None else str(getattr(other, self.target_key))

    def named(self, value: Any) -> list[str]:
        """Return the natural keys that a plain value refers to."""
        return [] if value is None else [value]


class ReferenceListColumn(ReferenceColumn):
    """Any number of other rows; their order says nothing."""

    __slots__ = ()

    @property
    def is_required(self) -> bool:
        return not self.field.blank

    @property
    def default(self) -> Any:
        return []

    def read(self, node: Node, environ: Names[str, str]) -> Any:
        return sorted(_texts(node))

    def get(self, row: Any) -> Any:
        if row._state.adding:
            return []
        others = getattr(row, self.name).all()
        return sorted(str(getattr(other, self.target_key)) for other in others)

    def named(self, value: Any) -> list[str]:
        return list(value)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret read from the environment; its text shows nowhere."""

    variable: str
    text: str

    def __repr__(self) -> str:
        return f"Secret(variable={self.variable!r})"


class SecretColumn(Column):
    """Never in the file: `<name>_env` says which environment variable to take it from.

    Without it the stored secret stays.
    """

    __slots__ = ()

    @property
    def key(self) -> str:
        return f"{self.name}_env"

    @property
    def is_required(self) -> bool:
        return False

    @property
    def default(self) -> Any:
        return None

    def read(self, node: Node, environ: Names[str, str]) -> Any:
        variable = _reference(node)
        text = environ.get(variable, "")
        if not text:
            raise UnableToRead(
                _("The environment variable %(name)s is not set.")
                % {"name": shown(variable)}
            )
        return Secret(variable=variable, text=text)

    def get(self, row: Any) -> Any:
        return None

    def stored(self, value: Any) -> str:
        return "" if value is None else value.text

    def is_same(self, row: Any, value: Any) -> bool:
        return value is None or self.reveal(row) == value.text

    def reveal(self, row: Any) -> str:
        """Return the secret of a row; empty when its key is lost."""
        try:
            return str(getattr(row, self.name))
        except UnableToDecrypt:
            return ""

    def show(self, value: Any) -> str:
        if value is None:
            return "…"
        return _("from %(name)s") % {"name": value.variable}


def column_for(field: Any, *, references: Names[Any, str]) -> Column:
    """Return the column of a Django field.

    `references` maps a model to the field that names its rows in the file.
    """
    if isinstance(field, models.ManyToManyField):
        return ReferenceListColumn(field, references[field.related_model])
    if isinstance(field, models.ForeignKey):
        return ReferenceColumn(field, references[field.related_model])
    if isinstance(field, models.JSONField) and field.default is list:
        return TextListColumn(field)
    for field_type, column_type in _TYPES:
        if isinstance(field, field_type):
            return column_type(field)
    raise TypeError(f"no column type for {field!r}")


_TYPES: list[tuple[type[Any], type[Column]]] = [
    (EncryptedTextField, SecretColumn),
    (models.CharField, TextColumn),
    (models.TextField, TextColumn),
    (models.IntegerField, IntegerColumn),
    (models.FloatField, NumberColumn),
    (models.DecimalField, DecimalColumn),
    (models.BooleanField, FlagColumn),
    (models.DateTimeField, MomentColumn),
    # After its subclass above.
    (models.DateField, DayColumn),
    (models.TimeField, WallTimeColumn),
    (models.JSONField, JsonColumn),
    (ArrayField, TextListColumn),
]


def _wall_time(value: time) -> str:
    return value.isoformat("auto" if value.second else "minutes")


def _reference(node: Node) -> str:
    if not isinstance(node, Scalar) or node.kind is Kind.NOTHING:
        raise UnableToRead(_("A name is expected."))
    return node.text


def _texts(node: Node) -> list[str]:
    if not isinstance(node, Items):
        raise UnableToRead(_("A list is expected."))
    texts: list[str] = []
    for item in node.nodes:
        try:
            text = _reference(item)
        except UnableToRead as error:
            raise UnableToRead(error.message, line=item.line) from error
        if text in texts:
            raise UnableToRead(
                _("%(value)s stands in the list twice.") % {"value": shown(text)},
                line=item.line,
            )
        texts.append(text)
    return texts
