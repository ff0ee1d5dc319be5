"""The SMS alphabet: nothing that it doesn't hold, nothing longer than its parts."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications import gsm7

# A busy machine is no fault of the strategies.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Everything that people type, and the worst of what they don't.
anything = st.text(max_size=500)
sendable = st.text(alphabet=st.sampled_from(gsm7._BASIC + gsm7._EXTENDED), max_size=700)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("Détecté à l’arrêt", "Détecté à l'arret"),
        ("Ça a planté", "Ça a planté"),
        ("garçon, œuvre, naïf", "garcon, oeuvre, naif"),
        ("“P0” · API … → 5 €", '"P0" - API ... -> 5 €'),
        ("tab\tand\u00a0nbsp", "tab and nbsp"),
        ("Łódź", "Lodz"),
        ("🔥 down 👍🏽", " down "),
        ("東京", "??"),
        ("e\u0301te\u0301", "été"),
        ("ﬁn ½", "fin 1/2"),
        ("[T4G] ~a|b", "[T4G] ~a|b"),
    ],
)
def test_text_is_spelled_with_what_there_is(text, spelled):
    assert gsm7.spell(text) == spelled


@unhurried
@given(anything)
def test_whatever_comes_in_can_be_sent(text):
    spelled = gsm7.spell(text)

    assert gsm7.is_gsm7(spelled)
    assert gsm7.spell(spelled) == spelled


@unhurried
@given(sendable)
def test_what_the_alphabet_has_stays_as_it_is(text):
    assert gsm7.spell(text) == text


@unhurried
@given(sendable)
def test_parts_are_counted_as_they_are_packed(text):
    count, width = gsm7.parts(text), gsm7.width(text)

    if width <= 160:
        assert count == 1
    else:
        # Each part but the last is full, or one short before an extended character.
        assert 153 * count >= width
        assert 152 * (count - 1) < width


@unhurried
@given(anything, st.integers(min_value=1, max_value=4))
def test_fit_keeps_to_its_parts_and_to_the_beginning(text, part_count):
    fitted = gsm7.fit(text, part_count=part_count)

    assert gsm7.parts(fitted) <= part_count
    whole = gsm7.spell(text)
    if fitted != whole:
        assert fitted.endswith(gsm7.ELLIPSIS)
        assert whole.startswith(fitted.removesuffix(gsm7.ELLIPSIS).rstrip())
        # No more is lost than the dots and a cut character need.
        assert gsm7.width(fitted) >= gsm7.capacity(part_count) - 60 or not fitted


@pytest.mark.parametrize(
    ("length", "count"), [(0, 1), (160, 1), (161, 2), (306, 2), (307, 3), (459, 3)]
)
def test_borders_of_the_standard(length, count):
    assert gsm7.parts("a" * length) == count


def test_an_extended_character_is_never_cut_in_two():
    # 152 and an extended one: it moves to the second part as a whole.
    assert gsm7.parts("a" * 152 + "€" * 76) == 2
    assert gsm7.parts("a" * 152 + "€" * 77) == 3
    assert gsm7.parts("a" * 153 + "€" * 76 + "a") == 2
