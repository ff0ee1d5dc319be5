"""How passwords are hashed."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class ModestArgon2(Argon2PasswordHasher):
    """Argon2id with OWASP's least memory.

    Django's own choice takes 100 MB for each of four threads that sign somebody in at
    the same time: a flood of attempts would cost more than all the rest of the portal.
    """

    time_cost = 2
    memory_cost = 19_456  # KiB
    parallelism = 1
