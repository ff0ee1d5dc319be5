"""Addresses of resources: `/things/` and `/things/<id>/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import URLPattern, path
from django.urls.converters import IntConverter, register_converter


class NumberConverter(IntConverter):
    """The number of a row, of a size that the database has."""

    regex = "[1-9][0-9]{0,17}"


register_converter(NumberConverter, "number")


def resource(
    address: str,
    view: Any,
    *,
    acts: Mapping[str, str] | None = None,
) -> list[URLPattern]:
    """Return the addresses of a resource with the acts that its `access` names.

    `acts`: further acts on one of them, by the last part of the address, as
    "post acknowledge".
    """
    whole = {"get": "list", "post": "create"}
    single = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
    found = []
    for route, methods in ((address, whole), (f"{address}<number:id>/", single)):
        offered = {method: act for method, act in methods.items() if act in view.access}
        if offered:
            found.append(path(route, view.as_view(offered)))
    for name, said in (acts or {}).items():
        method, act = said.split()
        found.append(path(f"{address}<number:id>/{name}/", view.as_view({method: act})))
    return found
