"""Secrets at rest: AES-256-GCM, bound to the table and column that they belong to.

Stored form: `v1:<key id>:<base64url(nonce + ciphertext + tag)>`. The key ring stands
in `PORTAL_DATA_KEYS`, apart from `SECRET_KEY`; its first key writes, all of them read.
"""

from __future__ import annotations

import base64
import binascii
import os
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

_VERSION = "v1"


class UnableToDecrypt(Exception):
    """A stored secret does not open with any key of the ring."""


@lru_cache(maxsize=4)
def _ring(keys: str) -> dict[str, AESGCM]:
    ring: dict[str, AESGCM] = {}
    for part in filter(None, (item.strip() for item in keys.split(","))):
        key_id, _, encoded = part.partition(":")
        try:
            key = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            ring[key_id] = AESGCM(key)
        except (ValueError, binascii.Error) as error:
            raise ImproperlyConfigured(
                f"PORTAL_DATA_KEYS: key {key_id!r} is not 32 bytes in base64url."
            ) from error
    if not ring:
        raise ImproperlyConfigured("PORTAL_DATA_KEYS is empty.")
    return ring


def encrypt(plain: str, *, context: str) -> str:
    """Encrypt `plain` with the first key; `context` must be given again to decrypt."""
    ring = _ring(settings.PORTAL_DATA_KEYS)
    key_id, cipher = next(iter(ring.items()))
    nonce = os.urandom(12)
    sealed = nonce + cipher.encrypt(nonce, plain.encode(), context.encode())
    return f"{_VERSION}:{key_id}:{base64.urlsafe_b64encode(sealed).decode()}"


def decrypt(stored: str, *, context: str) -> str:
    """Return the plain text; raises UnableToDecrypt, never returns ciphertext."""
    try:
        version, key_id, encoded = stored.split(":", 2)
        if version != _VERSION:
            raise UnableToDecrypt(f"unknown version {version!r}")
        sealed = base64.urlsafe_b64decode(encoded)
        cipher = _ring(settings.PORTAL_DATA_KEYS)[key_id]
        return cipher.decrypt(sealed[:12], sealed[12:], context.encode()).decode()
    except UnableToDecrypt:
        raise
    except KeyError as error:
        raise UnableToDecrypt(f"key {error} is not in PORTAL_DATA_KEYS") from error
    except (ValueError, InvalidTag, binascii.Error) as error:
        raise UnableToDecrypt("the stored secret is damaged") from error


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """A text column that is ciphertext in the database and plain text in Python.

    Empty stays empty. Filtering on the value is impossible, by design.
    """

    def _context(self) -> str:
        return f"{self.model._meta.db_table}:{self.column}"

    def get_prep_value(self, value: Any) -> Any:
        plain = super().get_prep_value(value)
        return encrypt(plain, context=self._context()) if plain else ""

    def from_db_value(self, value: str | None, *_: Any) -> str:
        return decrypt(value, context=self._context()) if value else ""
