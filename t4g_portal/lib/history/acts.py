"""On whose behalf this thread writes: a person on a page, a key of the API, a file."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _


class Via(models.TextChoices):
    """The door through which a change came."""

    ADMIN = "admin", _("the admin")
    WEB = "web", _("a page")
    API = "api", _("the API")
    FILE = "file", _("a configuration file")
    GUIDE = "guide", _("the guide's configuration, at a start")
    START = "start", _("the portal's start")
    SHELL = "shell", _("the command line")


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that somebody does; all that it changes carries its `key`."""

    via: Via
    # Who, where that is no person: a key's name, a file's.
    by: str = ""
    actor: User | None = None
    request: HttpRequest | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def person(self) -> User | None:
        """Return the person; of a request, whoever has signed in by now."""
        if self.request is None:
            return self.actor
        user = getattr(self.request, "user", None)
        return user if isinstance(user, User) and user.pk else None


_current: ContextVar[Act | None] = ContextVar("history_act", default=None)


def current() -> Act:
    """Return what this thread is doing; somebody at a command line if nothing is said."""
    return _current.get() or Act(via=Via.SHELL)


@contextmanager
def acting(*, via: Via, by: str = "", actor: User | None = None) -> Iterator[None]:
    """Attribute what is written inside to somebody.

    Without an `actor` the person of the request stays, whose upload a file may be.
    """
    person = actor or current().person()
    token = _current.set(Act(via=via, by=by, actor=person))
    try:
        yield
    finally:
        _current.reset(token)


class HistoryMiddleware:
    """Attributes what a request writes to who has signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # The user stays lazy: who writes nothing isn't looked up.
        token = _current.set(Act(via=_door(request.path), request=request))
        try:
            return self._get_response(request)
        finally:
            _current.reset(token)


def _door(path: str) -> Via:
    for start, via in (("/admin/", Via.ADMIN), ("/api/", Via.API)):
        if path.startswith(start):
            return via
    return Via.WEB


def described(act: Act) -> dict[str, Any]:
    """Return what an entry of the history keeps of an act, beside the person's row."""
    person = act.person()
    # The name stays when the account is deleted.
    name = person.get_username() if person else ""
    return {"via": str(act.via), "by": act.by, "name": name}
