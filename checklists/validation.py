"""What makes no sense in a template, whoever writes it: a form, a file or a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from checklists.models import TemplateItem
from t4g_portal.lib.faults import Fault


def item_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with the fields of an item; `values` may lack some."""
    kind = values.get("kind")
    if kind == TemplateItem.Kind.RULE and not values.get("verifier"):
        yield Fault("verifier", _("Choose what the portal verifies."))
    if kind != TemplateItem.Kind.RULE and values.get("verifier"):
        yield Fault("verifier", _("Only an item that the portal verifies has one."))
    if not isinstance(values.get("parameters", {}), dict):
        yield Fault("parameters", _("Give names with values."))


def doubled_keys(keys: Iterable[str]) -> list[str]:
    """Return the keys that stand there more than once."""
    return sorted(key for key, count in Counter(keys).items() if count > 1)
