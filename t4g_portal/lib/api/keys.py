"""How a key is made, written and recognised: `t4g_<id>_<secret>`.

The id names the row and may be shown. The secret is 32 random bytes, so one round of
SHA-256 keeps it: there is nothing to guess. It ends with a checksum, by which a typing
error is told without the database, and a secret scanner knows a key from chance.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from dataclasses import dataclass

PREFIX = "t4g"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 10
# 62^43 > 2^256 and 62^6 > 2^32.
_RANDOM_LENGTH, _CHECKSUM_LENGTH = 43, 6
_FORM = re.compile(
    rf"{PREFIX}_([0-9a-z]{{{_ID_LENGTH}}})_"
    rf"([0-9A-Za-z]{{{_RANDOM_LENGTH + _CHECKSUM_LENGTH}}})"
)


@dataclass(frozen=True, slots=True)
class KeyParts:
    """A key taken apart. `repr` keeps the secret out of logs."""

    key_id: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyParts({PREFIX}_{self.key_id}_…)"

    @property
    def text(self) -> str:
        """The key as its owner keeps it."""
        return f"{PREFIX}_{self.key_id}_{self.secret}"

    @property
    def digest(self) -> str:
        """What is stored instead of the secret."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


def new_key() -> KeyParts:
    """Make a key that nobody has."""
    key_id = "".join(
        secrets.choice(_ALPHABET[:10] + _ALPHABET[36:]) for _ in range(_ID_LENGTH)
    )
    random = _base62(secrets.randbits(256), _RANDOM_LENGTH)
    return KeyParts(key_id=key_id, secret=random + _checksum(key_id, random))


def read_key(text: str) -> KeyParts | None:
    """Take a key apart; None for what has not its form or a wrong checksum."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    key_id, secret = found.groups()
    random, checksum = secret[:_RANDOM_LENGTH], secret[_RANDOM_LENGTH:]
    if _checksum(key_id, random) != checksum:
        return None
    return KeyParts(key_id=key_id, secret=secret)


def _checksum(key_id: str, random: str) -> str:
    return _base62(zlib.crc32(f"{key_id}_{random}".encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
