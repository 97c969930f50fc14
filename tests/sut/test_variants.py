"""The weakened variants of the sample, and the drills that must notice them."""

from __future__ import annotations

import ast
from pathlib import Path

from sut.variants import VARIANTS

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def controls() -> set[str]:
    """The variants that some experiment has as a negative control."""
    return {
        str(word.value.value)
        for path in EXPERIMENTS.glob("test_*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Control"
        for word in call.keywords
        if word.arg == "variant" and isinstance(word.value, ast.Constant)
    }


def test_no_variant_is_there_that_no_drill_has_to_notice() -> None:
    assert {variant.name for variant in VARIANTS} <= controls()
