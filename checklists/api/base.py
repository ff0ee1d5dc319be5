"""What the resources of checklists have in common: who acts, what is refused, in which form."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.models import User
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from checklists.actors import Actor, person, program
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


@extend_schema_field(OpenApiTypes.OBJECT)
class AnyObject(serializers.DictField):
    """Names with values of any kind."""


class ReasonSerializer(StrictSerializer):
    """Why something does not count."""

    code = fields.Text(read_only=True, help_text="For programs; it stays the same.")
    detail = fields.Text(read_only=True, help_text="For people.")
