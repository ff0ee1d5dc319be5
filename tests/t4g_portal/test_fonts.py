"""The fonts of the shell are cut: what the pages show is still in them."""

from __future__ import annotations

import re
from pathlib import Path

import unfold
from django.conf import settings

from t4g_portal.navigation import GROUPS

FONTS = settings.BASE_DIR / "static" / "unfold" / "fonts"
ICONS = set((FONTS / "material-symbols" / "icons.txt").read_text().split())
# `<span class="material-symbols-outlined …">name</span>` in templates, `icon="name"` or
# `"icon": "name"` in the admin's classes.
_IN_TEMPLATES = re.compile(r"material-symbols-outlined[^>]*>\s*([a-z0-9_]{3,})\s*<")
_IN_CODE = re.compile(r"""\bicon["']?\s*[=:]\s*["']([a-z0-9_]{3,})["']""")


def shown_in(folder: Path, kind: str, pattern: re.Pattern[str]) -> set[str]:
    files = folder.rglob(kind)
    return {name for path in files for name in pattern.findall(path.read_text())}


def test_every_icon_of_ours_is_in_the_cut_font():
    shown = {entry.icon for group in GROUPS for entry in group.entries}
    shown |= shown_in(settings.BASE_DIR / "templates", "*.html", _IN_TEMPLATES)
    for app in settings.BASE_DIR.glob("*/apps.py"):
        shown |= shown_in(app.parent, "*.py", _IN_CODE)

    assert len(shown) > 20
    assert shown - ICONS == set(), "add it to icons.txt and run scripts/subset_fonts.py"


def test_every_icon_of_unfold_is_in_the_cut_font():
    theirs = Path(unfold.__file__).parent / "templates"

    shown = shown_in(theirs, "*.html", _IN_TEMPLATES)

    assert len(shown) > 20
    assert shown - ICONS == set(), "run scripts/subset_fonts.py"


def test_fonts_are_small_enough_for_a_phone():
    cut = [*FONTS.rglob("*-Latin.woff2"), *FONTS.rglob("Material*.woff2")]

    assert len(cut) == 5
    assert sum(path.stat().st_size for path in cut) < 150_000
