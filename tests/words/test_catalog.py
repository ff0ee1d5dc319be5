"""The French catalog is complete, current, well-formed and compiled."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from tests.words.catalogs import FRENCH, Entry, compiled, read_mo, read_po

# %(name)s and %(ms).1f, %s, %%; braces stand in texts that templates fill.
_PLACEHOLDER = re.compile(r"%\(\w+\)[-+0-9.]*[a-z]|%[sd%]|\{\w*\}")
SOURCES = [
    *["checklists", "incidents", "kpis", "monitors", "notifications"],
    *["static", "t4g_portal", "telemetry", "templates"],
]
# Quoted as it has to be typed: none of it is prose.
_CODE = [
    '{"service"',
    "Nom: valeur",
    "`monitors:`",
    "Authorization: Bearer",
    "''",
    "(!)",
    '"',
]
HINT = "run `make messages` and write the French in locale/fr/LC_MESSAGES/django.po"


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return read_po(FRENCH)


def test_every_text_of_the_source_is_in_the_catalog(tmp_path, monkeypatch, settings):
    catalog = _copy_of_the_house(tmp_path)
    settings.LOCALE_PATHS = [tmp_path / "locale"]
    monkeypatch.chdir(tmp_path)

    call_command("makemessages", verbosity=0)

    def texts(path: Path) -> set[tuple[str, str, str]]:
        return {(entry.context, entry.text, entry.plural) for entry in read_po(path)}

    missing = texts(catalog) - texts(FRENCH)
    surplus = texts(FRENCH) - texts(catalog)
    assert not missing, f"not in the catalog, {HINT}: {sorted(missing)}"
    assert not surplus, f"no longer in the source, {HINT}: {sorted(surplus)}"


def _copy_of_the_house(target: Path) -> Path:
    """Copy what holds texts, because gathering them writes files beside them."""
    for name in SOURCES:
        shutil.copytree(settings.BASE_DIR / name, target / name)
    shutil.copytree(FRENCH.parents[2], target / "locale")
    return target / FRENCH.relative_to(settings.BASE_DIR)


def test_every_text_is_translated(entries):
    untranslated = [str(entry) for entry in entries if not all(entry.translations)]

    assert not untranslated, HINT


def test_no_translation_is_a_guess(entries):
    assert not [str(entry) for entry in entries if "fuzzy" in entry.flags]


def test_every_plural_has_both_forms(entries):
    odd = [
        str(entry)
        for entry in entries
        if len(entry.translations) != (2 if entry.plural else 1)
    ]

    assert not odd


def test_translations_fill_in_the_same_values(entries):
    odd = []
    for entry in entries:
        all_of_them = _placeholders(entry.plural or entry.text)
        for number, said in enumerate(entry.translations):
            # "un jour" may do without its number where "one day" does.
            least = all_of_them if number else _placeholders(entry.text)
            if not least <= _placeholders(said) <= all_of_them:
                odd.append(f"{entry} → {said}")

    assert not odd


def _placeholders(text: str) -> set[str]:
    return set(_PLACEHOLDER.findall(text))


def test_spaces_and_line_ends_around_a_text_stay(entries):
    odd = [
        str(entry)
        for entry in entries
        for said in entry.translations
        if _ends(said) != _ends(entry.text)
    ]

    assert not odd


def _ends(text: str) -> tuple[bool, bool]:
    # A French semicolon has a space before it that an English one lacks.
    text = text.removeprefix("\u202f") if text.startswith("\u202f;") else text
    return text[:1].isspace(), text[-1:].isspace()


def test_the_compiled_catalog_is_the_written_one(entries):
    assert read_mo(FRENCH.with_suffix(".mo")) == compiled(entries), (
        "run `make messages` and commit the .mo with the .po"
    )


# Python's and Django's own placeholders, addresses and quoted code are no prose.
_NO_PROSE = re.compile(r"%\(\w+\)[-+0-9.]*[a-z]|%[sd]|<[^>]*>|https?://\S*|`[^`]*`")


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (r"\w'\w", "an apostrophe is ’"),
        (r"[\"“”]", "quotation marks are « »"),
        (r" [:;!?»%](?!\w)|« ", "a no-break space stands beside : ; ! ? % « »"),
        (r"[^\W\d_][;!?](?:\s|$)", "a narrow no-break space stands before ; ! ?"),
        (r"[^\W\d_]:\s", "a no-break space stands before :"),
        (r"\.\.\.", "an ellipsis is …"),
        (r"!|[Vv]euillez|avec succès", "calm: no exclamation, no please"),
    ],
)
def test_french_typography(entries, wrong, rule):
    odd = [
        said
        for entry in entries
        if entry.context not in {"date", "moment"}
        and "python-brace-format" not in entry.flags
        for text in entry.translations
        for said in [_NO_PROSE.sub("x", text)]
        if re.search(wrong, said) and not any(code in text for code in _CODE)
    ]

    assert not odd, rule
