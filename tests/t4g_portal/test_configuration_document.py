"""YAML text to a tree and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t4g_portal.configuration import document
from t4g_portal.configuration.problems import UnableToImport


def read(text: str | bytes) -> object:
    data = text if isinstance(text, bytes) else text.encode()
    return document.plain(document.read(data))


def problems_of(text: str | bytes) -> list[tuple[int, str]]:
    with pytest.raises(UnableToImport) as caught:
        read(text)
    return [(problem.line, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("12:30", "12:30"),
        ("1.2.3", "1.2.3"),
        ("007", "007"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("2026-03-01", "2026-03-01"),
        ("true", True),
        ("false", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("-12", -12),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("'5'", "5"),
        ('"true"', "true"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_plain_values_follow_yaml_1_2(written: str, value: object):
    assert read(f"a: {written}\n") == {"a": value}


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | _TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(_TEXT, _VALUES, max_size=5))
def test_what_is_written_reads_back_the_same(value: dict[str, object]):
    assert read(document.write(value) if value else "{}") == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_the_same(value: float):
    assert read(document.write({"a": value})) == {"a": value}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (b"", 1, "empty"),
        (b"# only a comment\n", 1, "empty"),
        (b"- a\n", 1, "sections"),
        (b"a: 1\nb: [\n", 2, "not YAML"),
        (b"a: 1\n b: 2\n", 2, "not YAML"),
        (b"a: 1\nb: 'open\n", 2, "not YAML"),
        (b"a: 1\n\xff\n", 2, "UTF-8"),
        (b"a: 1\nb: \x07\n", 2, "control character"),
        (b'a: 1\nb: "\\0"\n', 2, "can't be stored"),
        (b"a: 1\n---\nb: 2\n", 2, "second document"),
        (b"a: &x [1]\nb: *x\n", 1, "Anchors"),
        (b"a: 1\nb: !!python/object/apply:os.system [id]\n", 2, "Tags"),
        (b"a: !secret x\n", 1, "Tags"),
        (b"a: 1\n<<: *x\n", 2, "Anchors"),
    ],
)
def test_unreadable_text_names_the_line(text: bytes, line: int, said: str):
    [(found_line, message)] = problems_of(text)

    assert (found_line, said in message) == (line, True), message


def test_all_repeated_and_unquoted_names_are_reported():
    text = "a: 1\nb: 2\na: 3\n5: x\ntrue: y\nc:\n  d: 1\n  d: 2\n"

    problems = problems_of(text)

    assert [line for line, _ in problems] == [3, 4, 5, 8]
    assert "first in line 1" in problems[0][1]
    assert "quotes" in problems[1][1]


def test_oversized_file_is_refused():
    [(_, message)] = problems_of(b"a: " + b"x" * document.MAX_BYTES)

    assert "1024 KiB" in message


def test_too_many_values_are_refused():
    [(_, message)] = problems_of("- a\n" * (document.MAX_NODES + 1))

    assert "more than 100000 values" in message


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? "])
def test_deep_nesting_is_refused_at_once(opening: str):
    [(_, message)] = problems_of(opening * 200_000)

    assert "nested too deeply" in message


def test_alias_bomb_is_refused():
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n"
        for n in range(20)
    )

    [(line, message)] = problems_of(bomb)

    assert (line, "Anchors" in message) == (1, True)
