"""Cut Unfold's fonts to what the portal shows: 730 KB become about 150.

`static/unfold/fonts/` stands before Unfold's own files of the same names. Inter keeps its
whole self in a second file that browsers fetch for other alphabets only. Of Material
Symbols the icons stay whose names occur in Unfold, in our code, or in `icons.txt`; add a
name there, and run this in an environment with `fonttools`, `brotli` and the portal's
packages. `tests/t4g_portal/test_fonts.py` names an icon that is missing.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import unfold
from fontTools import subset
from fontTools.ttLib import TTFont

ROOT = Path(__file__).resolve().parent.parent
THEIRS = Path(unfold.__file__).parent / "static" / "unfold" / "fonts"
OURS = ROOT / "static" / "unfold" / "fonts"
WEIGHTS = {"Regular": 400, "Medium": 500, "SemiBold": 600, "Bold": 700}
# What western European languages write, and the signs of our texts.
LATIN = (
    "U+0000-00FF, U+0131, U+0152-0153, U+0160-0161, U+0178, U+017D-017E, U+02C6,"
    " U+02DA, U+02DC, U+2000-206F, U+20AC, U+2122, U+2190-2193, U+2212, U+2215,"
    " U+2260, U+2264-2265, U+FEFF, U+FFFD"
)
FACE = """@font-face {{
  font-family: "Inter";
  font-style: normal;
  font-weight: {weight};
  font-display: swap;
  src: url({file}) format("woff2");{extent}
}}
"""
SOURCES = ("*.html", "*.py", "*.css", "*.js")


def main() -> None:
    cut_inter()
    cut_symbols()


def cut_inter() -> None:
    faces = []
    for name, weight in WEIGHTS.items():
        full, cut = f"Inter-{name}.woff2", f"Inter-{name}-Latin.woff2"
        options = subset.Options()
        options.flavor = "woff2"
        # Those that the pages use: kerning, marks, tabular figures.
        options.layout_features = ["kern", "mark", "ccmp", "tnum"]
        font = TTFont(THEIRS / "inter" / full)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=subset.parse_unicodes(LATIN.replace("U+", "")))
        subsetter.subset(font)
        subset.save_font(font, str(OURS / "inter" / cut), options)
        faces.append(FACE.format(weight=weight, file=full, extent=""))
        faces.append(
            FACE.format(weight=weight, file=cut, extent=f"\n  unicode-range: {LATIN};")
        )
    (OURS / "inter" / "styles.css").write_text("\n".join(faces))
    shutil.copy(THEIRS / "inter" / "LICENSE", OURS / "inter" / "LICENSE")


def cut_symbols() -> None:
    folder = "material-symbols"
    font = TTFont(THEIRS / folder / "Material-Symbols-Outlined.woff2")
    cmap = font.getBestCmap()
    glyphs = spelled_glyphs(font)
    listed = OURS / folder / "icons.txt"
    names = (words_of_code() | set(listed.read_text().split())) & glyphs.keys()
    options = subset.Options()
    options.flavor = "woff2"
    options.layout_features = ["rlig", "liga", "calt"]
    # Its ligatures would bring back every icon that letters can spell.
    options.layout_closure = False
    options.glyph_names = False
    spelled = "abcdefghijklmnopqrstuvwxyz0123456789_ "
    letters = [cmap[code] for code in map(ord, spelled) if code in cmap]
    subsetter = subset.Subsetter(options)
    subsetter.populate(glyphs=[*letters, *(glyphs[name] for name in names)])
    subsetter.subset(font)
    subset.save_font(
        font, str(OURS / folder / "Material-Symbols-Outlined.woff2"), options
    )
    listed.write_text("\n".join(sorted(names)) + "\n")
    shutil.copy(THEIRS / folder / "LICENSE", OURS / folder / "LICENSE")


def spelled_glyphs(font: TTFont) -> dict[str, str]:
    """Return the glyph of each name that the font's ligatures spell."""
    letters = {glyph: chr(code) for code, glyph in font.getBestCmap().items()}
    found = {}
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for table in lookup.SubTable:
            table = getattr(table, "ExtSubTable", table)
            for first, ligatures in getattr(table, "ligatures", {}).items():
                for ligature in ligatures:
                    spelled = [first, *ligature.Component]
                    if all(glyph in letters for glyph in spelled):
                        name = "".join(letters[glyph] for glyph in spelled)
                        found[name] = ligature.LigGlyph
    return found


def words_of_code() -> set[str]:
    """Return whatever might be the name of an icon."""
    folders = [Path(unfold.__file__).parent, ROOT / "templates"]
    files = [
        path for folder in folders for kind in SOURCES for path in folder.rglob(kind)
    ]
    files += ROOT.glob("*/admin/*.py")
    files += ROOT.glob("t4g_portal/**/*.py")
    return {
        word
        for path in files
        if ".min." not in path.name
        and path.name not in {"alpine.js", "chart.js", "htmx.js"}
        for word in re.findall(r"[a-z0-9_]{3,}", path.read_text(errors="ignore"))
    }


if __name__ == "__main__":
    main()
