"""Whoever writes a template chooses a verifier and reads what it wants to know."""

from __future__ import annotations

import pytest
from django.urls import reverse

from checklists.models import TemplateItem
from tests.checklists.making import make_template
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_form_lists_verifiers_and_names_the_parameter_that_is_wrong(client):
    client.force_login(make_user(is_superuser=True))
    section = make_template().sections.get()
    values = {
        "section": section.pk,
        "position": 10,
        "key": "figures",
        "title": "Figures come in",
        "kind": "rule",
        "verifier": "kpi_fresh",
        "signatures_required": 1,
        "is_blocking": "on",
    }
    add = reverse("admin:checklists_templateitem_add")

    form = client.get(add).content.decode()
    wrong = client.post(add, {**values, "parameters": "{}"}).content.decode()
    right = client.post(add, {**values, "parameters": '{"kpis": ["users"]}'})

    assert "max_latency_ms" in form
    assert '<option value="kpi_fresh"' in form
    assert "kpis: It is needed" in wrong
    assert right.status_code == 302
    item = TemplateItem.objects.get(key="figures")
    assert (item.verifier, item.parameters) == ("kpi_fresh", {"kpis": ["users"]})
