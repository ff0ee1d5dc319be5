"""Versions: proposed, published, by two people where a template says so."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from checklists import services
from checklists.actors import engine, person
from checklists.content import content_of, fingerprint
from checklists.services import Refused
from tests.checklists.making import make_signer, make_template, publish

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)


def propose(template_id: int, actor: object = None) -> object:
    return services.templates.propose(
        template_id=template_id,
        actor=actor or engine(),  # type: ignore[arg-type]
        now=NOW,
    )


def test_version_says_what_the_draft_said():
    template = make_template({"title": "First"}, {"title": "Second"})

    version = publish(template, now=NOW)

    assert version.number == 1
    assert version.fingerprint == fingerprint(content_of(template))
    [section] = version.content["sections"]
    assert [item["title"] for item in section["items"]] == ["First", "Second"]


def test_same_draft_is_not_proposed_again():
    template = make_template()
    publish(template, now=NOW)

    with pytest.raises(Refused) as refused:
        propose(template.pk)

    assert refused.value.code == "nothing_changed"


@pytest.mark.parametrize("is_superuser", [False, True])
def test_two_people_publish_where_the_template_says_so(is_superuser: bool):
    template = make_template(needs_two_to_publish=True)
    proposer = person(make_signer(is_superuser=is_superuser))
    version = services.templates.propose(
        template_id=template.pk, actor=proposer, now=NOW
    )
    codes = []

    for actor in (proposer, engine()):
        with pytest.raises(Refused) as refused:
            services.templates.publish(version_id=version.pk, actor=actor, now=NOW)
        codes.append(refused.value.code)
    done = services.templates.publish(
        version_id=version.pk, actor=person(make_signer()), now=NOW
    )

    assert codes == ["needs_two", "needs_two"]
    assert done.status == "published"


def test_one_version_is_proposed_at_a_time():
    template = make_template()
    propose(template.pk)
    template.sections.get().items.create(key="more", title="More")

    with pytest.raises(Refused) as refused:
        propose(template.pk)

    assert refused.value.code == "proposed_already"


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([{"is_blocking": False}], "nothing_demanded"),
        ([{"kind": "rule"}], "unfit_item"),
        ([{"kind": "rule", "verifier": "no_such"}], "unfit_item"),
    ],
)
def test_draft_whose_runs_would_prove_nothing_is_refused(
    items: list[dict[str, object]], code: str
):
    template = make_template(*items)

    with pytest.raises(Refused) as refused:
        propose(template.pk)

    assert refused.value.code == code


def test_key_in_two_sections_is_refused():
    template = make_template({"key": "health"})
    other = template.sections.create(key="more", title="More")
    other.items.create(key="health", title="Again")

    with pytest.raises(Refused) as refused:
        propose(template.pk)

    assert refused.value.code == "key_twice"


def test_published_is_the_newest_that_nobody_withdrew():
    template = make_template()
    first = publish(template, now=NOW)
    template.sections.get().items.create(key="more", title="More")
    second = publish(template, now=NOW)

    newest = services.templates.published(template_slug=template.slug)
    services.templates.withdraw(
        version_id=second.pk, reason="Wrong", actor=engine(), now=NOW
    )
    before = services.templates.published(template_slug=template.slug)

    assert (newest, before) == (second, first)
