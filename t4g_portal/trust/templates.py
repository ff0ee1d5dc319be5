"""Fits the templates of installed packages to the content policy (ADR 0006).

Unfold, Django and Swagger know no nonces. They are added to the *source* of their
templates, before any value is filled in: what a person typed can't get one, as it would
if answers were searched for tags.
"""

from __future__ import annotations

import re

from django.template import Origin
from django.template.loaders import app_directories

# What is loaded from an address needs none: 'self' allows it.
_INLINE = re.compile(r"<(style|script)(?=[\s>])(?![^>]*\s(?:src|nonce)=)")
# Alpine writes a string into the style attribute, which the policy forbids; an object
# it sets property by property, which is allowed.
_STYLE_STRING = re.compile(
    r"""(?<=x-bind:style=")'([a-z-]+): ' \+ (\w+) \+ 'px'(?=")"""
)


class FittingLoader(app_directories.Loader):
    """Loads templates from the folders of installed apps, fitted to the policy."""

    def get_contents(self, origin: Origin) -> str:
        """Return the template's source, fitted."""
        return fit(super().get_contents(origin))


def fit(source: str) -> str:
    """Return a template's source with a nonce at each inline style and script."""
    source = _INLINE.sub(r'<\1 nonce="{{ request.csp_nonce }}"', source)
    return _STYLE_STRING.sub(r"{'\1': \2 + 'px'}", source)
