"""AES-256-GCM with a ring of keys.

Stored form: `v2:<key id>:<base64url(nonce + ciphertext + tag)>`, authenticated together
with table, column and row: what is copied elsewhere does not open there. The ring stands
in `PORTAL_DATA_KEYS`, apart from `SECRET_KEY`; its first key writes, all of them read.

`v1` is bound to table and column only: how secrets were once written. It is read as long
as a row has it, and `manage.py rotate_secrets` leaves none.
"""

from __future__ import annotations

import base64
import binascii
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

UNBOUND, BOUND = "v1", "v2"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class UnableToDecrypt(Exception):
    """A stored secret does not open with any key of the ring."""


def encrypt(plain: str, *, context: str, row: str, version: str = BOUND) -> str:
    """Encrypt with the ring's first key; `context` and `row` must be given to decrypt."""
    key_id, cipher = next(iter(_ring(settings.PORTAL_DATA_KEYS).items()))
    nonce = os.urandom(_NONCE_BYTES)
    place = _place(version, context, row)
    sealed = nonce + cipher.encrypt(nonce, plain.encode(), place)
    return f"{version}:{key_id}:{base64.urlsafe_b64encode(sealed).decode()}"


def decrypt(stored: str, *, context: str, row: str) -> str:
    """Return the plain text; raises UnableToDecrypt, never returns ciphertext."""
    try:
        version, key_id, encoded = stored.split(":", 2)
        if version not in {UNBOUND, BOUND}:
            raise UnableToDecrypt("the stored secret is of an unknown version")
        sealed = base64.urlsafe_b64decode(encoded)
        cipher = _ring(settings.PORTAL_DATA_KEYS)[key_id]
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return cipher.decrypt(nonce, ciphertext, _place(version, context, row)).decode()
    except UnableToDecrypt:
        raise
    except KeyError as error:
        raise UnableToDecrypt(f"key {error} is not in PORTAL_DATA_KEYS") from error
    except (ValueError, InvalidTag, binascii.Error) as error:
        raise UnableToDecrypt("the stored secret is damaged") from error


def writing_key_id() -> str:
    """Return the id of the key that writes."""
    return next(iter(_ring(settings.PORTAL_DATA_KEYS)))


def _place(version: str, context: str, row: str) -> bytes:
    return (f"{context}:{row}" if version == BOUND else context).encode()


@lru_cache(maxsize=4)
def _ring(keys: str) -> dict[str, AESGCM]:
    ring: dict[str, AESGCM] = {}
    for part in filter(None, (item.strip() for item in keys.split(","))):
        key_id, _, encoded = part.partition(":")
        key = _key(encoded)
        if key is None:
            raise ImproperlyConfigured(
                f"PORTAL_DATA_KEYS: key {key_id!r} is not 32 bytes in base64url."
            )
        if key_id in ring:
            raise ImproperlyConfigured(
                f"PORTAL_DATA_KEYS: two keys are called {key_id!r}. Rename the new one."
            )
        ring[key_id] = AESGCM(key)
    if not ring:
        raise ImproperlyConfigured("PORTAL_DATA_KEYS is empty.")
    return ring


def _key(encoded: str) -> bytes | None:
    try:
        key = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (ValueError, binascii.Error):
        return None
    return key if len(key) == _KEY_BYTES else None
