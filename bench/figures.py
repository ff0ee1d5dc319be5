"""What a measurement yields, and how it is shown and kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results" / "latest.json"


@dataclass(frozen=True)
class Figure:
    """One measured value. `bound` must be reached, `goal` is what we hope for."""

    name: str
    value: float
    unit: str
    bound: float | None = None
    goal: float | None = None
    # Whether more is better.
    is_rate: bool = False

    @property
    def ok(self) -> bool:
        if self.bound is None:
            return True
        return self.value >= self.bound if self.is_rate else self.value <= self.bound

    def as_json(self) -> dict[str, object]:
        fields = asdict(self)
        fields.pop("is_rate")
        return {**fields, "value": round(self.value, 4), "ok": self.ok}


def show(figures: list[Figure]) -> None:
    """Print a table."""
    width = max(len(figure.name) for figure in figures)
    sign = {True: "≥", False: "≤"}
    for figure in figures:
        bound = goal = ""
        if figure.bound is not None:
            bound = f"{sign[figure.is_rate]} {figure.bound:g}"
        if figure.goal is not None:
            goal = f"(goal {figure.goal:g})"
        verdict = "" if figure.bound is None else ("ok" if figure.ok else "MISSED")
        print(
            f"{figure.name:<{width}}  {figure.value:>10.3f} {figure.unit:<12}"
            f" {bound:>8} {goal:<12} {verdict}"
        )


def keep(figures: list[Figure]) -> None:
    """Write `bench/results/latest.json`, keeping the figures not measured this time."""
    kept: dict[str, dict[str, object]] = {}
    if RESULTS.is_file():
        kept = {row["name"]: row for row in json.loads(RESULTS.read_text())}
    kept.update({figure.name: figure.as_json() for figure in figures})
    RESULTS.write_text(json.dumps(list(kept.values()), indent=1) + "\n")
