"""A monitor that is pointed elsewhere, by garbage or by somebody who may not."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.api.asking import Api, allow
from tests.factories import make_monitor, make_user

pytestmark = pytest.mark.django_db

RESOLVER = {"resolver": "10.0.0.1:53"}


@pytest.mark.parametrize("target", ["http://[", "http://[::1", "http://\u2100.com/"])
def test_target_that_is_no_address_is_refused(target: str):
    monitor = make_monitor()

    answer = Api().patch(f"monitors/{monitor.pk}/", {"target": target})

    assert answer.status_code in {400, 422}
    monitor.refresh_from_db()
    assert monitor.target != target


@pytest.mark.parametrize("is_allowed", [True, False])
def test_name_server_of_a_private_monitor_moves_with_permission_only(is_allowed: bool):
    monitor = make_monitor(kind="dns", target="example.org")
    user = allow(make_user(), "monitors.change_monitor")
    if is_allowed:
        allow(user, "monitors.use_private_targets")

    answer = Api(owner=user).patch(f"monitors/{monitor.pk}/", {"options": RESOLVER})

    assert (answer.status_code == 200) is is_allowed, answer.content
    monitor.refresh_from_db()
    assert (monitor.options == RESOLVER) is is_allowed


def test_name_server_of_a_private_monitor_stays_in_the_form_too(client: Client):
    monitor = make_monitor(kind="dns", target="example.org")
    user = allow(make_user(is_staff=True), "monitors.change_monitor")
    client.force_login(user)
    address = f"/admin/monitors/monitor/{monitor.pk}/change/"
    form = client.get(address).context["adminform"].form
    typed = {name: form[name].value() for name in form.fields}
    sent = {name: value for name, value in typed.items() if value not in (None, False)}

    answer = client.post(
        address,
        {
            **sent,
            "tags": "",
            "option_resolver": RESOLVER["resolver"],
            "assertions-TOTAL_FORMS": "0",
            "assertions-INITIAL_FORMS": "0",
        },
    )

    assert "option_resolver" in answer.context["adminform"].form.errors
    monitor.refresh_from_db()
    assert monitor.options == {}
