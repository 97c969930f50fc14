"""`blackstart coverage`, as a shell sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "blackstart", "coverage", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_sample_is_mapped_and_written_in_every_form(tmp_path: Path) -> None:
    html, svg, data = tmp_path / "map.html", tmp_path / "map.svg", tmp_path / "map.json"
    done = _run("--root", str(ROOT), "--html", str(html), "--svg", str(svg), "--json", str(data))
    assert done.returncode == 0, done.stderr
    assert "postgres.primary" in done.stdout and "pgproxy → postgres" in done.stdout
    cells = {(c["place"], c["mode"]): c for c in json.loads(data.read_text())["cells"]}
    assert "postgres.primary_crash" in [d["drill"] for d in cells["postgres.primary", "gone"]["drills"]]
    assert cells["app → redis", "slow"]["drills"][0]["runbook"] == "redis-slow"
    assert cells["pgproxy", "gone"]["state"] == "hole"
    assert cells["app", "errors"]["state"] == "no fault"
    assert html.read_text().lstrip().startswith("<!doctype html>")
    assert svg.read_text().startswith("<svg")


STACKS = """
from pathlib import Path
from blackstart.model.stack import Image, Instance, Stack, Variant

def made(name, service):
    image = Image("none", Path("none"))
    return Stack(name, image, (Instance(f"{service}-1", service, image, {"tcp": 1}),), variants=(WEAK,))

WEAK = Variant("weak", "forgets")
first, other = made("first", "web"), made("other", "disk")
"""

DRILLS = """
from blackstart import Control, Objectives, experiment, kill

def on(stack):
    return experiment(hypothesis="h", runbook="down", objectives=Objectives(lost=0),
                      control=Control(variant="weak", breaks="lost"), stack=stack)

@on("")
def test_web(drill):
    drill.inject(kill("web-1", allow_total_loss=True))

@on("other")
def test_disk(drill):
    drill.inject(kill("disk-1", allow_total_loss=True))
"""


def test_a_map_is_of_one_stack_and_names_the_others(tmp_path: Path) -> None:
    for name, text in {
        "mapped_stacks.py": STACKS,
        "experiments/test_it.py": DRILLS,
        "runbooks/down.md": "",
        "pyproject.toml": '[tool.blackstart]\nstack = "mapped_stacks:first"\n'
        '[tool.blackstart.stacks]\nother = "mapped_stacks:other"',
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    shown = {}
    for options in ((), ("--stack", "other")):
        done = _run("--root", str(tmp_path), "--json", str(tmp_path / "map.json"), *options)
        assert done.returncode == 0, done.stderr
        data = json.loads((tmp_path / "map.json").read_text())
        drilled = {c["place"]: [d["drill"] for d in c["drills"]] for c in data["cells"] if c["drills"]}
        shown[data["stack"]] = drilled, data["notes"]
    assert shown == {
        "first": (
            {"web": ["it.web"]},
            ["1 drill on stack 'other': on a map of its own (--stack other)"],
        ),
        "other": (
            {"disk": ["it.disk"]},
            ["1 drill on the first stack: on a map of its own (no --stack)"],
        ),
    }
    done = _run("--root", str(tmp_path), "--stack", "ohter")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no stack 'ohter'" in done.stderr


def test_drills_that_cannot_be_collected_exit_3_with_pytests_words(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "test_broken.py").write_text("import nothing_of_the_kind")
    done = _run("--root", str(tmp_path))
    assert (done.returncode, done.stdout) == (3, "")
    assert "nothing_of_the_kind" in done.stderr


def test_a_project_without_a_stack_exits_3(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "test_none.py").write_text("")
    done = _run("--root", str(tmp_path))
    assert (done.returncode, done.stdout) == (3, "")
    assert "tool.blackstart" in done.stderr
