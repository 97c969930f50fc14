"""Nothing is skipped unsaid: skips are compared with tests/skips.txt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "with workers"])
@pytest.mark.parametrize(
    ("listed", "code"), [("test_it.py::test_* # no such thing here\ntest_whole.py", 0), ("", 1)]
)
def test_only_listed_skips_pass(
    pytester: pytest.Pytester, listed: str, code: int, workers: tuple[str, ...]
) -> None:
    source = re.sub(r"(pytest_plugins = )\[.*\]", r"\1[]", (ROOT / "conftest.py").read_text())
    pytester.makeconftest(source)
    pytester.mkdir("tests").joinpath("skips.txt").write_text(listed)
    pytester.makepyfile(
        test_it="""
        import pytest
        def test_skipped(): pytest.skip("no such thing here")
        def test_passed(): pass
        """,
        test_whole="""
        import pytest
        pytest.skip("no such thing here", allow_module_level=True)
        """,
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *workers)
    assert result.ret == code
    said = "SKIPPED, and not in skips.txt: test_it.py::test_skipped: Skipped: no such thing here"
    assert (said in result.stdout.str()) is (code == 1)
    assert ("test_whole.py: Skipped: no such thing here" in result.stdout.str()) is (code == 1)
