"""The base of every resource: who may, how often, in which form; then one call."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpResponse
from django.utils.translation import gettext as _
from rest_framework import generics, viewsets
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from t4g_portal.lib.api import etags, limits
from t4g_portal.lib.api.access import Access, HasAccess
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.authentication import BrowserAuthentication, KeyAuthentication
from t4g_portal.lib.api.filters import StrictFilters
from t4g_portal.lib.api.paging import PARAMETERS, CursorPager
from t4g_portal.lib.api.parsing import StrictJsonParser, unchunk
from t4g_portal.lib.api.problems import QueryInvalid
from t4g_portal.lib.api.schema import ResourceSchema
from t4g_portal.lib.history.acts import Via, acting
from t4g_portal.lib.models import ApiKey
from t4g_portal.lib.versions import version_of


class Resource(viewsets.ViewSetMixin, generics.GenericAPIView):  # type: ignore[type-arg]
    """What all resources have in common.

    A subclass names its acts in `access`, and what its domain refuses in `conflicts`
    (409). Each act makes one call into the domain.
    """

    authentication_classes = (KeyAuthentication, BrowserAuthentication)
    permission_classes = (HasAccess,)
    parser_classes = (StrictJsonParser,)
    renderer_classes = (JSONRenderer,)
    filter_backends = (StrictFilters,)
    pagination_class = CursorPager
    throttle_classes = ()
    schema = ResourceSchema()
    http_method_names = ["get", "head", "post", "patch", "delete"]
    lookup_field = "pk"
    lookup_url_kwarg = "id"

    # The name in operation ids, and what each act asks for.
    resource: ClassVar[str]
    access: ClassVar[Mapping[str, Access]]
    conflicts: ClassVar[tuple[type[Exception], ...]] = ()
    # How a list may be ordered, the first one when nobody asks; see CursorPager.
    orderings: ClassVar[Mapping[str, str]] = {"id": "pk"}
    default_ordering: ClassVar[str] = ""
    cursor_tie: ClassVar[str] = "pk"
    # Whether one of these has an ETag and takes If-Match.
    is_versioned: ClassVar[bool] = False
    # Parameters of the address besides paging and filters, by act.
    parameters: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check what can be checked before the act."""
        self._standing: limits.Standing | None = None
        # Until the answer is there, what is written counts as done by the asker.
        self._acting = ExitStack()
        unchunk(request._request)
        try:
            super().initial(request, *args, **kwargs)
        except (NotAuthenticated, AuthenticationFailed):
            self._standing = limits.count_unknown(request)
            raise
        self._standing = limits.count_known(request)
        key = request.auth
        self._acting.enter_context(
            acting(
                via=Via.API,
                by=key.name if isinstance(key, ApiKey) else "",
                actor=cast(User, request.user),
            )
        )
        self._check_query(request)

    def finalize_response(self, *args: Any, **kwargs: Any) -> Any:
        """Say where one stands with the limits; nothing is for anybody's cache."""
        self._acting.close()
        standing = self._standing
        if standing is not None:
            self.headers.update(standing.headers())
        self.headers["Cache-Control"] = "no-store"
        return super().finalize_response(*args, **kwargs)

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, limits.TooMany):
            self._standing = exc.standing
        return super().handle_exception(exc)

    def known_parameters(self) -> set[str]:
        """Return the names that the address may have after its question mark."""
        known = set(self.parameters.get(self.action or "", ()))
        if self.action == "list":
            filters = getattr(self, "filterset_class", None)
            known |= {*PARAMETERS, *(filters.base_filters if filters else ())}
        return known

    def _check_query(self, request: Request) -> None:
        asked = request.query_params
        if not asked:
            return
        known = self.known_parameters()
        problems = {}
        for name, values in asked.lists():
            if name not in known:
                problems[name[:100]] = _("There is no such parameter here.")
            elif len(values) > 1:
                problems[name] = _("Give it once.")
            elif not values[0] or "\0" in values[0]:
                problems[name] = _("Give it a value, or leave it out.")
        if problems:
            raise QueryInvalid(problems)

    # --- Reading -----------------------------------------------------------------
    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer a page."""
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        represent = self.get_serializer_class().represent  # type: ignore[attr-defined]
        page: HttpResponse = self.get_paginated_response(
            [represent(row) for row in rows or ()]
        )
        return page

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Answer one."""
        return self.answer(self.one(id))

    def one(self, number: int) -> Any:
        """Return a row; raises DoesNotExist, which is 404."""
        return self.get_queryset().get(pk=number)

    def answer(
        self, row: Model, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """Answer with a row as its JSON object, and its ETag when it has one."""
        represent = self.get_serializer_class().represent  # type: ignore[attr-defined]
        answer = JsonAnswer(represent(row), status=status, headers=headers)
        if self.is_versioned:
            tag = etags.etag(version=version_of(row), content=answer.content)
            if self.request.method in ("GET", "HEAD") and etags.has_it(
                self.request, tag
            ):
                return HttpResponse(status=304, headers={"ETag": tag})
            answer["ETag"] = tag
        return answer

    # --- Writing -----------------------------------------------------------------
    def sent(self, *, is_partial: bool = False) -> dict[str, Any]:
        """Return the checked values of the body; raises ValidationError."""
        serializer = self.get_serializer(data=self.request.data, partial=is_partial)
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = dict(serializer.validated_data)
        return values

    def sent_for(self, row: Model) -> dict[str, Any]:
        """`sent` for a change of `row`: only what is named."""
        serializer = self.get_serializer(row, data=self.request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = dict(serializer.validated_data)
        return values

    def created(self, number: int) -> HttpResponse:
        """Answer 201 with the new row, read as a GET reads it."""
        location = f"{self.request.path}{number}/"
        return self.answer(self.one(number), status=201, headers={"Location": location})

    def expected(self) -> str | None:
        """Return the version that `If-Match` insists on."""
        return etags.expected_version(self.request)

    def get_queryset(self) -> QuerySet[Any]:
        """Return the rows that answers are made of, with all they need."""
        raise NotImplementedError
