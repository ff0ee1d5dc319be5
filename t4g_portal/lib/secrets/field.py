"""A text column that is ciphertext in the database and plain text where it is asked for.

A row is read with its secret closed; `row.secret` opens it, each time anew. So a list of
rows decrypts nothing, a lost key stops nobody who doesn't need the secret, and no plain
text lies about in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connections, models
from django.db.models import signals
from django.db.models.query_utils import DeferredAttribute

from t4g_portal.lib.secrets.sealing import decrypt, encrypt


@dataclass(frozen=True, slots=True, repr=False)
class Sealed:
    """A secret as the database has it."""

    stored: str

    def __repr__(self) -> str:
        return "<sealed>"


class _Opening(DeferredAttribute):
    """Opens what is sealed; keeps what was just typed until it is saved."""

    field: EncryptedTextField

    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        if instance is None:
            return self
        value = self.closed(instance)
        return self.field.open(value, instance) if isinstance(value, Sealed) else value

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value

    def closed(self, instance: models.Model) -> Any:
        """Return the value as it is at hand, sealed or just typed; read it if need be."""
        values, name = instance.__dict__, self.field.attname
        if name not in values:
            # Not through refresh_from_db, which would leave plain text behind.
            rows = type(instance)._base_manager.using(instance._state.db)
            found = rows.filter(pk=instance.pk).values_list(name, flat=True)
            values[name] = found.get()
        return values[name]


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Bound to its row. Empty stays empty. Filtering on the value is impossible, by design.

    Only saving a row can write a secret: `update`, `bulk_update` and `bulk_create` know
    no row to bind it to and raise TypeError. A copied row loses its secret for the same
    reason. Model forms and dumps leave the field out.
    """

    descriptor_class = _Opening

    def contribute_to_class(
        self, cls: type[models.Model], name: str, private_only: bool = False
    ) -> None:
        super().contribute_to_class(cls, name, private_only)
        if not cls._meta.abstract:
            signals.pre_save.connect(self._reserve_key, sender=cls)

    @property
    def context(self) -> str:
        """Return the table and column that secrets of this field are bound to."""
        return f"{self.model._meta.db_table}:{self.column}"

    def open(self, sealed: Sealed, row: models.Model) -> str:
        """Return the plain text of a row's secret; raises UnableToDecrypt."""
        return decrypt(sealed.stored, context=self.context, row=str(row.pk))

    def from_db_value(self, value: str | None, *_: Any) -> Sealed | str:
        return Sealed(value) if value else ""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = model_instance.__dict__.get(self.attname)
        if value and not isinstance(value, Sealed):
            if model_instance.pk is None:
                raise TypeError(f"{self}: save each row on its own, not in bulk.")
            value = Sealed(
                encrypt(str(value), context=self.context, row=str(model_instance.pk))
            )
            model_instance.__dict__[self.attname] = value
        return value or ""

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Sealed):
            return value.stored
        if value:
            raise TypeError(f"{self}: a secret is bound to its row. Save the row.")
        return ""

    def formfield(self, *args: Any, **kwargs: Any) -> Any:
        """No model form holds a secret: forms have a field of their own for a new one."""
        return None

    def value_from_object(self, obj: models.Model) -> str:
        """Nothing, for whoever shows or dumps all fields of a row."""
        return ""

    def value_to_string(self, obj: models.Model) -> str:
        return ""

    def _reserve_key(
        self, instance: models.Model, raw: bool, using: str, **kwargs: Any
    ) -> None:
        """Take the next primary key before a new row is written: it is bound to it."""
        value = instance.__dict__.get(self.attname)
        if raw or not value or instance.pk is not None:
            return
        if isinstance(value, Sealed):
            raise TypeError(f"{self}: a copied row can't keep its secret. Set it anew.")
        connection = connections[using]
        key = instance._meta.pk
        table = connection.ops.quote_name(instance._meta.db_table)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, %s))", [table, key.column]
            )
            instance.pk = cursor.fetchone()[0]


def has_secret(row: models.Model, name: str) -> bool:
    """Whether a row has a secret in its field `name`; opens nothing."""
    descriptor: _Opening = getattr(type(row), name)
    return bool(descriptor.closed(row))


def encrypted_fields() -> Iterator[EncryptedTextField]:
    """Yield every encrypted field of every model, in a steady order."""
    for model in sorted(apps.get_models(), key=lambda model: model._meta.label):
        for field in model._meta.local_concrete_fields:
            if isinstance(field, EncryptedTextField):
                yield field
