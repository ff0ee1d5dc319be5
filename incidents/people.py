"""Saying who somebody is."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AbstractUser


def name(*, user: AbstractBaseUser) -> str:
    """Return the full name, else the name that somebody signs in with."""
    full_name = user.get_full_name() if isinstance(user, AbstractUser) else ""
    return full_name or user.get_username()
