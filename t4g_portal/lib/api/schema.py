"""OpenAPI: what DRF knows, and what all resources have in common, said once."""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import override
from drf_spectacular.openapi import AutoSchema

from t4g_portal.lib.api.etags import ETAG
from t4g_portal.lib.api.idempotency import KEY
from t4g_portal.lib.api.problems import CONTENT_TYPE, MAX_ERRORS
from t4g_portal.lib.api.scopes import FAMILIES

PROBLEM_SCHEMA = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:t4g:problem:invalid"]},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What is wrong, and what to do."},
        "errors": {
            "type": "array",
            "maxItems": MAX_ERRORS,
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "Where in the body (RFC 6901).",
                    },
                    "parameter": {"type": "string"},
                    "header": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
        "scope": {"type": "string", "description": "The scope that the key lacks."},
        "permission": {"type": "string", "description": "The permission you lack."},
    },
}

_SAID = {
    400: "The request makes no sense; `errors` says where.",
    401: "No key, or one that isn't valid.",
    403: "The key has no such scope, or its owner no such permission.",
    404: "There is no such thing.",
    406: "Only JSON is spoken here.",
    409: "The present state does not allow it, or something else needs it.",
    411: "Send Content-Length.",
    412: "It was changed since the version that If-Match names.",
    413: "The body is too long.",
    415: "The body is not application/json.",
    422: "The Idempotency-Key was sent with another request.",
    429: "Too many requests; Retry-After says when to go on.",
}

_NAMES = {"partial_update": "update", "destroy": "delete", "retrieve": "read"}


class ResourceSchema(AutoSchema):
    """Describes a `Resource`."""

    view: Any

    def get_operation_id(self) -> str:
        """Return `monitors_read`, `incidents_acknowledge`, …"""
        action = self.view.action
        return f"{self.view.resource}_{_NAMES.get(action, action)}"

    def get_tags(self) -> list[str]:
        """Return the family's name."""
        family = self.view.access[self.view.action].scope.partition(":")[0]
        return [_english(FAMILIES[family])]

    def get_description(self) -> str:  # type: ignore[override]
        """Return the act's sentence, and what it asks for."""
        access = self.view.access[self.view.action]
        doc = getattr(self.view, self.view.action).__doc__ or ""
        said = re.sub(r"\s+", " ", doc.strip().partition("\n\n")[0])
        return (
            f"{said}\n\nScope `{access.scope}`, permission `{access.permission}`."
        ).strip()

    def get_summary(self) -> str:
        """Return the act's first sentence."""
        doc = getattr(self.view, self.view.action).__doc__ or ""
        return doc.strip().partition("\n")[0].rstrip(".")

    def get_extensions(self) -> dict[str, Any]:
        """Return what the act asks for, for machines."""
        access = self.view.access[self.view.action]
        return {"x-scope": access.scope, "x-permission": access.permission}

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        """Add the headers, errors and answers that all resources share."""
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        operation.setdefault("parameters", []).extend(self._header_parameters())
        answers = operation["responses"]
        for status, answer in answers.items():
            self._add_headers(int(status), answer)
        if self._reads_versions():
            answers["304"] = {"description": "You have it already (If-None-Match)."}
        for status in self._error_statuses(operation):
            answers[str(status)] = _problem(status)
        operation["responses"] = dict(sorted(answers.items()))
        return operation

    def _header_parameters(self) -> list[dict[str, Any]]:
        found = []
        if self._is_idempotent():
            found.append(
                _header(
                    "Idempotency-Key",
                    "Sent twice within a day, it is done once; use a UUID.",
                    {"type": "string", "pattern": KEY},
                )
            )
        if self._takes_versions():
            found.append(
                _header(
                    "If-Match",
                    "The ETag of what you have read: 412 when it has changed since.",
                    {"type": "string", "pattern": ETAG},
                )
            )
        return found

    def _error_statuses(self, operation: dict[str, Any]) -> set[int]:
        has_body = "requestBody" in operation
        statuses = {400, 401, 403, 406, 429}
        if "{" in self.path:
            statuses.add(404)
        if self.method != "GET":
            statuses |= {409, 411, 413}
        if has_body:
            statuses |= {415}
        if self._takes_versions():
            statuses.add(412)
        if self._is_idempotent():
            statuses.add(422)
        return statuses

    def _add_headers(self, status: int, answer: dict[str, Any]) -> None:
        headers = answer.setdefault("headers", {})
        for name in ("RateLimit", "RateLimit-Policy"):
            headers[name] = _answer_header("Where you stand with the limit.")
        if self.view.is_versioned and status != 204 and self.view.action != "list":
            headers["ETag"] = _answer_header("Its version; send it as If-Match.")
        if status == 201:
            headers["Location"] = _answer_header("Where it is.")
        if self.view.action == "list":
            headers["Link"] = _answer_header('The next page: rel="next".')

    def _reads_versions(self) -> bool:
        return bool(self.view.is_versioned and self.view.action == "retrieve")

    def _takes_versions(self) -> bool:
        return bool(self.view.is_versioned and self.method in ("PATCH", "DELETE"))

    def _is_idempotent(self) -> bool:
        handler = getattr(self.view, self.view.action)
        return bool(getattr(handler, "is_idempotent", False))

    def _is_list_view(self, serializer: Any = None) -> bool:
        return bool(self.view.action == "list")


def finish(
    result: dict[str, Any], generator: Any, request: Any, public: bool
) -> dict[str, Any]:
    """Complete the document: drf-spectacular's postprocessing hook."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    _close_objects(schemas)
    _link_operations(result["paths"])
    return result


def _close_objects(schemas: dict[str, Any]) -> None:
    """Say of every object that it has no other members than those named."""
    for name, schema in schemas.items():
        if schema.get("type") == "object" and name != "Problem":
            schema.setdefault("additionalProperties", False)


def _link_operations(paths: dict[str, Any]) -> None:
    """Say which acts one may do with what a list or a creation answered."""
    for path, item in paths.items():
        below = {
            operation["operationId"]
            for other, operations in paths.items()
            if other.startswith(path + "{id}/")
            and other.count("{") == path.count("{") + 1
            for operation in operations.values()
        }
        for method, status, pointer in (
            ("post", "201", "#/id"),
            ("get", "200", "#/items/0/id"),
        ):
            answer = item.get(method, {}).get("responses", {}).get(status)
            if answer is None or not below:
                continue
            answer["links"] = {
                name: {
                    "operationId": name,
                    "parameters": {"id": f"$response.body{pointer}"},
                }
                for name in sorted(below)
            }


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    answer: dict[str, Any] = {
        "description": _SAID[status],
        "content": {CONTENT_TYPE: {"schema": schema}},
    }
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": _answer_header("How to identify.")}
    if status == 429:
        answer["headers"] = {"Retry-After": _answer_header("Seconds to wait.")}
    return answer


def _header(name: str, said: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": said,
        "schema": schema,
    }


def _answer_header(said: str) -> dict[str, Any]:
    return {"description": said, "schema": {"type": "string"}}


def _english(text: Any) -> str:
    with override("en"):
        return str(text)
