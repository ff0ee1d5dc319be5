"""Sessions that end: after days of silence, and after a month whatever happens.

Django's own store slides with each write or not at all. Both ages are long, because
somebody who is paged at night must not have to look for a password first.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

BEGAN_AT = "_began_at"
SEEN_AT = "_seen_at"
# A request need not be a write.
_NOTE_EVERY_S = 3600


class SessionStore(DatabaseStore):
    """Forgets who is signed in when the session is too old."""

    def load(self) -> dict[str, Any]:
        """Return what is stored; nothing when the session has lasted too long."""
        data = super().load()
        if SESSION_KEY not in data:
            return data
        now = time.time()
        if now - data.setdefault(BEGAN_AT, now) > settings.SESSION_MAX_AGE_S:
            self.delete(self.session_key)
            self._session_key = None
            return {}
        if now - data.get(SEEN_AT, 0) > _NOTE_EVERY_S:
            # Saved with the answer, which moves the end of its idle time.
            data[SEEN_AT] = now
            self.modified = True
        return data

    def cycle_key(self) -> None:
        """Take another key; Django does so when somebody signs in."""
        super().cycle_key()
        self[BEGAN_AT] = self[SEEN_AT] = time.time()

    @classmethod
    def get_model_class(cls) -> Any:
        """Return the table, which is Django's."""
        from django.contrib.sessions.models import Session

        return Session
