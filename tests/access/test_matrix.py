"""Every address × everybody × GET and POST: who gets in is what the tables say.

The tables are `t4g_portal/roles.py` (who has which permission) and `addresses.py` beside
this file (which address asks for which). An address in neither makes the test fail.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.template.backends.django import Template
from django.test import Client, RequestFactory
from django.utils.safestring import mark_safe

from t4g_portal.lib.models import ApiKey
from t4g_portal.roles import ROLES, permissions_of
from t4g_portal.site import PortalSite
from tests.access.addresses import (
    ANYBODY,
    DECLARED,
    ENGINE_OWNED,
    MEMBER,
    NOBODY,
    PROVEN,
    Asks,
    actions_of,
    address,
    asks_of,
    routes,
)
from tests.access.world import World, make_world
from tests.factories import make_user

pytestmark = pytest.mark.django_db

ANONYMOUS, NO_ROLE, SUPERUSER = "anonymous", "no role", "superuser"
METHODS = ("get", "post", "patch", "delete")
EVERYBODY = [ANONYMOUS, NO_ROLE, *(role.name for role in ROLES), SUPERUSER]


@pytest.fixture
def world(now) -> World:
    return make_world(now=now)


@pytest.fixture
def decisions_only(
    monkeypatch: pytest.MonkeyPatch, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Leave out what costs time and decides nothing: the looks, sessions, log lines."""
    caplog.set_level(logging.CRITICAL, logger="django.request")
    monkeypatch.setattr(Template, "render", lambda *args, **kwargs: mark_safe(""))
    # The shell around a page, its sidebar above all, that no template shows now.
    monkeypatch.setattr(PortalSite, "each_context", lambda *args: {})
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    settings.API_REQUESTS_PER_MINUTE = settings.API_REFUSALS_PER_MINUTE = 10**9


def person(name: str) -> User | AnonymousUser:
    if name == ANONYMOUS:
        return AnonymousUser()
    role = {role.name: role for role in ROLES}.get(name)
    return make_user(username=name, role=role, is_superuser=name == SUPERUSER)


def has(name: str, needs: str) -> bool:
    """Whether somebody is declared to have what an address asks for."""
    if needs in {ANYBODY, NOBODY, PROVEN}:
        return needs == ANYBODY
    if name == ANONYMOUS:
        return False
    if needs == MEMBER or name == SUPERUSER:
        return True
    role = {role.name: role for role in ROLES}.get(name)
    return role is not None and set(needs.split()) <= permissions_of(role)


def outcome(answer: Any) -> str:
    if answer.status_code == 302 and answer["Location"].startswith("/admin/login/"):
        return "sent to the login"
    if answer.status_code == 302 and answer.wsgi_request.path == "/admin/logout/":
        # Who is signed out already is sent to the front page, which asks for a login.
        return "sent to the login"
    return {
        401: "sent to the login",
        403: "refused",
        404: "hidden",
        405: "not offered",
    }.get(answer.status_code, "let in")


def is_as_declared(name: str, asks: Asks, needs: str, found: str) -> bool:
    if has(name, needs):
        return found == "let in" or (found == "hidden" and asks.may_be_missing)
    refusals = {"refused"}
    if asks.is_hidden:
        refusals = {"hidden"}
    if name == ANONYMOUS:
        refusals = {"sent to the login", *(refusals & {"hidden"})}
    if needs == PROVEN:
        refusals = {"sent to the login"}
    if needs == NOBODY:
        refusals |= {"not offered"}
    return found in refusals


def ask(client: Client, method: str, url: str) -> Any:
    """Ask, and undo whatever the answer did."""
    cookies = deepcopy(client.cookies)
    with transaction.atomic():
        answer = getattr(client, method)(url)
        transaction.set_rollback(True)
    client.cookies = cookies
    return answer


@pytest.mark.usefixtures("decisions_only")
@pytest.mark.parametrize("name", EVERYBODY)
def test_everybody_gets_in_where_the_tables_say_and_nowhere_else(
    name: str, world: World
):
    client, user = Client(), person(name)
    if isinstance(user, User):
        client.force_login(user)
        # Other people's keys are hidden from those who have their own.
        ApiKey.objects.update(owner=user)

    wrong = []
    for route, asks in declared_routes():
        url = address(route, asks, world)
        for method in METHODS:
            needs = getattr(asks, method)
            if not needs:
                continue
            found = outcome(ask(client, method, url))
            if not is_as_declared(name, asks, needs, found):
                wrong.append(f"{method.upper()} {url} asks for {needs}: {found}")

    assert not wrong, f"{name}:\n" + "\n".join(wrong)


def declared_routes() -> Iterator[tuple[str, Asks]]:
    for route in routes():
        asks = asks_of(route)
        if asks is not None:
            yield route, asks


def test_every_address_is_declared():
    unknown = [route for route in routes() if asks_of(route) is None]

    assert not unknown, f"say in addresses.py what these ask for: {unknown}"


def test_nothing_is_declared_that_is_gone():
    assert not DECLARED.keys() - set(routes())


def test_every_model_of_the_admin_is_in_the_world(world: World):
    missing = [m._meta.label for m in admin.site._registry if m not in world]

    assert not missing, f"make a row of each in world.py: {missing}"


def test_tables_of_the_engine_are_registered():
    registered = {model._meta.label_lower for model in admin.site._registry}

    assert registered >= ENGINE_OWNED


@pytest.mark.parametrize("name", EVERYBODY[1:])
def test_lists_offer_the_actions_that_somebody_may_do(name: str, rf: RequestFactory):
    request = rf.get("/")
    request.user = person(name)

    for model, model_admin in admin.site._registry.items():
        may = {key for key, needs in actions_of(model).items() if has(name, needs)}
        if has(name, f"{model._meta.app_label}.view_{model._meta.model_name}"):
            assert set(model_admin.get_actions(request)) == may, model._meta.label
