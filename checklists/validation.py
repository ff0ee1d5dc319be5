"""What makes no sense in a template, whoever writes it: a form, a file or a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from checklists.models import TemplateItem
from checklists.verifiers import registry
from notifications.validation import validate_time_zone
from t4g_portal.lib.faults import Fault


def item_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with the fields of an item; `values` may lack some."""
    kind = values.get("kind")
    if kind == TemplateItem.Kind.RULE and not values.get("verifier"):
        yield Fault("verifier", _("Choose what the portal verifies."))
    if kind != TemplateItem.Kind.RULE and values.get("verifier"):
        yield Fault("verifier", _("Only an item that the portal verifies has one."))
    yield from _parameter_faults(values)


def _parameter_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    parameters, verifier = values.get("parameters", {}), values.get("verifier")
    if not isinstance(parameters, dict):
        yield Fault("parameters", _("Give names with values."))
        return
    if not verifier:
        if parameters:
            yield Fault("parameters", _("Leave them empty: nothing is verified."))
        return
    if registry.get(verifier) is None:
        yield Fault("verifier", _("There is no such verifier."))
        return
    for name, problem in registry.problems(verifier, parameters).items():
        yield Fault("parameters", problem, inside=name)


def anchor_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check on which clock the head of the audit chain is mailed."""
    zone = values.get("time_zone")
    if zone == "":
        yield Fault("time_zone", _("Enter a time zone's name, such as Europe/Paris."))
    elif zone is not None:
        for field, message in validate_time_zone(time_zone=zone).items():
            yield Fault(field, message)


def doubled_keys(keys: Iterable[str]) -> list[str]:
    """Return the keys that stand there more than once."""
    return sorted(key for key, count in Counter(keys).items() if count > 1)
