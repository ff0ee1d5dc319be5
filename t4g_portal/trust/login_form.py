"""The form of the login page."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from unfold.forms import AuthenticationForm


class LoginForm(AuthenticationForm):  # type: ignore[misc]
    """One sentence for whatever is wrong: it tells nobody which names exist."""

    error_messages: dict[str, Any] = {
        **AuthenticationForm.error_messages,
        "invalid_login": _(
            "This name and this password don't belong together. Mind capital letters."
        ),
    }
