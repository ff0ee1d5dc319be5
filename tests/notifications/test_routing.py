"""How a person is reached: rules and addresses become routes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.db import IntegrityError
from hypothesis import given
from hypothesis import strategies as st

from notifications import routing
from notifications.methods import ADDRESS_KIND
from notifications.models import AddressVerification, Contact, PersonalRule
from notifications.routing import Place, Route, Wish, plan, routes_for
from t4g_portal.lib.priority import Priority
from tests.factories import make_address, make_contact

ALL = frozenset(ADDRESS_KIND)
MAIL, PHONE, SLACK = Place(1, "email"), Place(2, "phone"), Place(3, "slack")

wishes = st.lists(
    st.builds(Wish, st.sampled_from(sorted(ADDRESS_KIND)), st.integers(0, 3600)),
    max_size=4,
    unique_by=lambda wish: wish.method,
)
places = st.lists(
    st.builds(Place, st.integers(1, 9), st.sampled_from(["email", "phone", "slack"])),
    max_size=6,
    unique_by=lambda place: place.address_id,
)
usable = st.frozensets(st.sampled_from(sorted(ADDRESS_KIND)))
priorities = st.sampled_from(Priority.values)


def ways(routes: Sequence[Route]) -> list[tuple[str, int]]:
    return [(route.method, route.delay_s) for route in routes]


class TestPlan:
    @pytest.mark.parametrize(
        ("priority", "expected"),
        [
            ("p0", [("sms", 0), ("slack", 0), ("email", 0), ("voice", 120)]),
            ("p1", [("slack", 0), ("email", 0)]),
            ("p2", [("email", 0)]),
            # Nothing is usual for P3: when somebody is named all the same, it is mail.
            ("p3", [("email", 0)]),
        ],
    )
    def test_who_has_no_rules_is_told_in_the_usual_way(self, priority, expected):
        routes = plan(
            priority=priority, places=[MAIL, PHONE, SLACK], own=[], usable=ALL
        )

        assert ways(routes) == expected

    def test_own_rules_stand_instead_of_the_usual_way(self):
        routes = plan(
            priority="p0",
            places=[MAIL, PHONE],
            own=[Wish("voice", 60), Wish("email", 0)],
            usable=ALL,
        )

        assert ways(routes) == [("email", 0), ("voice", 60)]
        assert [route.address_id for route in routes] == [1, 2]

    def test_a_rule_holds_for_each_address_that_it_fits(self):
        routes = plan(
            priority="p0",
            places=[PHONE, Place(7, "phone")],
            own=[Wish("sms", 0)],
            usable=ALL,
        )

        assert [route.address_id for route in routes] == [2, 7]

    def test_what_cannot_be_used_does_not_make_the_next_one_wait(self):
        routes = plan(
            priority="p0", places=[PHONE], own=[], usable=frozenset({"voice"})
        )

        assert ways(routes) == [("voice", 0)]
        assert "brought forward" in routes[0].why

    def test_any_usable_address_is_better_than_none(self):
        routes = plan(
            priority="p2", places=[PHONE], own=[Wish("email", 600)], usable=ALL
        )

        assert ways(routes) == [("sms", 0)]
        assert "only way" in routes[0].why

    @given(priority=priorities, places=places, own=wishes, usable=usable)
    def test_whoever_can_be_reached_is_and_not_later_than_wished(
        self, priority, places, own, usable
    ):
        routes = plan(priority=priority, places=places, own=own, usable=usable)

        kinds = {place.address_id: place.kind for place in places}
        reachable = any(
            kind in kinds.values() and method in usable
            for method, kind in ADDRESS_KIND.items()
        )
        wished = own or routing.DEFAULTS[priority]
        assert bool(routes) is reachable
        for route in routes:
            assert route.method in usable
            assert kinds[route.address_id] == ADDRESS_KIND[route.method]
            assert route.why
        delays = [route.delay_s for route in routes]
        assert delays == sorted(delays)
        assert len({(r.address_id, r.method) for r in routes}) == len(routes)
        if routes and wished:
            assert delays[0] <= min(wish.delay_s for wish in wished)

    @given(priority=priorities, places=places, own=wishes)
    def test_nothing_wished_for_is_left_out_when_everything_works(
        self, priority, places, own
    ):
        routes = plan(priority=priority, places=places, own=own, usable=ALL)

        wished = {
            (place.address_id, wish.method, wish.delay_s)
            for wish in own
            for place in places
            if place.kind == ADDRESS_KIND[wish.method]
        }
        if wished and min(own, key=lambda wish: wish.delay_s).method in {
            method for _id, method, _delay in wished
        }:
            assert {(r.address_id, r.method, r.delay_s) for r in routes} == wished

    @given(priority=priorities, places=places, own=wishes, usable=usable)
    def test_the_order_of_what_is_stored_changes_nothing(
        self, priority, places, own, usable
    ):
        one = plan(priority=priority, places=places, own=own, usable=usable)
        other = plan(
            priority=priority, places=places[::-1], own=own[::-1], usable=usable
        )

        assert one == other


@pytest.mark.django_db
class TestRoutesFor:
    def test_only_enabled_and_verified_addresses_count(self):
        ana = make_contact(name="Ana")
        good = make_address(contact=ana)
        make_address(contact=ana, is_verified=False)
        make_address(contact=ana, is_enabled=False)
        moved = make_address(contact=ana)
        moved.value = "moved@example.org"
        moved.save()
        away = make_address(contact=make_contact(is_enabled=False))

        routes = routes_for(contacts=[ana.pk, away.contact_id, 0], priority="p1")

        assert [route.address_id for route in routes[ana.pk]] == [good.pk]
        assert routes[away.contact_id] == ()
        assert routes[0] == ()

    def test_rules_of_other_priorities_do_not_count(self):
        address = make_address()
        PersonalRule.objects.create(
            contact=address.contact, priority="p0", method="email", delay_s=60
        )

        at = {
            priority: routes_for(contacts=[address.contact_id], priority=priority)[
                address.contact_id
            ][0].delay_s
            for priority in ("p0", "p1")
        }

        assert at == {"p0": 60, "p1": 0}

    def test_three_queries_are_enough_for_everybody(
        self, django_assert_max_num_queries
    ):
        contacts = [make_address().contact_id for _each in range(5)]

        with django_assert_max_num_queries(3):
            routes = routes_for(contacts=contacts, priority="p0")

        assert all(len(routes[contact]) == 1 for contact in contacts)

    def test_nobody_needs_no_query(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert routes_for(contacts=[], priority="p0") == {}

    def test_the_catch_all_is_one_enabled_contact(self):
        assert routing.catch_all_id() is None
        last = make_contact(is_catch_all=True)

        assert routing.catch_all_id() == last.pk
        with pytest.raises(IntegrityError):
            make_contact(is_catch_all=True)

    def test_a_disabled_catch_all_catches_nothing(self):
        make_contact(is_catch_all=True, is_enabled=False)

        assert routing.catch_all_id() is None

    def test_an_edited_address_counts_again_when_it_is_put_back(self):
        address = make_address(value="a@example.org")
        address.value = "b@example.org"
        address.save()
        is_verified_after_edit = address.is_verified
        address.value = "a@example.org"

        assert (is_verified_after_edit, address.is_verified) == (False, True)
        assert AddressVerification.objects.count() == 1
        assert Contact.objects.count() == 1
