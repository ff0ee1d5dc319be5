"""What the resources of checklists have in common: who acts, what is refused, in which form."""

from __future__ import annotations

import re
from typing import Any, cast

from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from checklists.actors import Actor, person, program
from checklists.models.run import GIT_SHA
from checklists.services.refusing import Refused
from t4g_portal.lib.api import fields, problems
from t4g_portal.lib.api.serializers import StrictSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.models import ApiKey


def actor_of(request: Request) -> Actor:
    """Return who acts: a program by the name of its key, or a person in a browser."""
    key = request.auth
    if isinstance(key, ApiKey):
        return program(key)
    return person(cast(User, request.user))


class ChecklistResource(Resource):
    """A resource whose refusals carry their code: `urn:t4g:problem:open-already`."""

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, Refused):
            exc = problems.Refused(
                status=409, slug=exc.code.replace("_", "-"), detail=exc.message
            )
        return super().handle_exception(exc)


class BySlug(serializers.SlugRelatedField):  # type: ignore[type-arg]
    """Another row by its slug, as pipelines know it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="slug", **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "pattern": GIT_SHA})
class Sha(fields.Text):
    """A commit in lowercase hexadecimal."""

    default_error_messages = {
        "no_commit": _("Give the commit: 7 to 64 hexadecimal digits, in lower case."),
    }

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not re.fullmatch(GIT_SHA, text):
            self.fail("no_commit")
        return text


@extend_schema_field(OpenApiTypes.OBJECT)
class AnyObject(serializers.DictField):
    """Names with values of any kind."""


class ReasonSerializer(StrictSerializer):
    """Why something does not count."""

    code = fields.Text(read_only=True, help_text="For programs; it stays the same.")
    detail = fields.Text(read_only=True, help_text="For people.")
