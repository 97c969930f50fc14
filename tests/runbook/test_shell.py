"""Steps in one bash: what carries over, what ends it, and that nothing outlives it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from blackstart.model.errors import HarnessError
from blackstart.platforms.waiting import wait_for
from blackstart.runbook.parse import Block
from blackstart.runbook.shell import KEPT, Done, Shell


@dataclass
class Told:
    """What a shell tells as it goes."""

    begun: list[str] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)

    @property
    def ends(self) -> list[tuple[str, int | None, str]]:
        """Name, status and cut of each step that ended."""
        return [(d.block.name, d.exit, d.cut) for d in self.done]

    @property
    def said(self) -> list[str]:
        """What each step said."""
        return [d.output for d in self.done]


def run(
    folder: Path,
    *codes: str,
    limit_s: float = 30.0,
    pulse: Callable[[], None] = lambda: None,
    told: Told | None = None,
    **env: str,
) -> Told:
    told = told or Told()
    blocks = [Block(f"s{n}", "", code + "\n", n) for n, code in enumerate(codes, 1)]
    shell = Shell(blocks, lambda block: told.begun.append(block.name), told.done.append, pulse)
    shell.run(folder, {"PATH": os.environ["PATH"], **env}, limit_s)
    return told


def alive(pid: int) -> bool:
    """Whether the process still does something: neither gone nor a zombie that nobody has reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_variables_functions_and_the_folder_carry_over(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    told = run(
        tmp_path,
        'NODE=pg-1\nask() { echo "$1 of $NODE"; }\ncd sub',
        'ask "$TARGET"; pwd',
        TARGET="it's 5 o'clock",
    )
    assert told.ends == [("s1", 0, ""), ("s2", 0, "")]
    assert told.said[1].splitlines() == ["it's 5 o'clock of pg-1", str(tmp_path / "sub")]


def test_each_step_has_its_own_words_from_both_streams(tmp_path: Path) -> None:
    told = run(tmp_path, "echo one; echo two >&2", "printf 'no end of line'", "true")
    assert told.said == ["one\ntwo\n", "no end of line", ""]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("false\necho not reached", 1),
        ("exit 7", 7),
        ("echo $UNSET", 1),
        ("false | true", 1),
        ("set +e\nfalse", 1),
        ("kill -KILL $$", 137),
        ("if then", 2),
    ],
    ids=["command", "exit", "unset variable", "pipe", "without -e", "killed", "syntax"],
)
def test_the_first_step_that_fails_ends_it(tmp_path: Path, code: str, status: int) -> None:
    told = run(tmp_path, "echo begun", code, "echo never")
    assert told.begun == ["s1", "s2"]
    name, found, cut = told.ends[1]
    assert (name, cut) == ("s2", "")
    assert found == status or (status == 2 and found)
    assert "not reached" not in told.said[1]


def test_options_that_a_step_sets_hold_for_that_step_only(tmp_path: Path) -> None:
    told = run(tmp_path, "set +eu\nfalse\necho $UNSET\ntrue", "false")
    assert told.ends == [("s1", 0, ""), ("s2", 1, "")]


def test_a_step_that_ends_the_whole_shell_is_told(tmp_path: Path) -> None:
    assert run(tmp_path, "exit 0", "echo never").ends == [("s1", 0, "exit")]
    assert run(tmp_path, "true", "exit 0").ends == [("s1", 0, ""), ("s2", 0, "")]


def test_nothing_can_be_typed_in_and_no_start_file_is_read(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("echo started\n")
    told = run(tmp_path, "read -r answer || echo nobody there", "echo ${MISSING-unset}", HOME=str(tmp_path))
    assert told.said == ["nobody there\n", "unset\n"]


def test_the_last_of_what_is_said_is_kept_in_whole_lines(tmp_path: Path) -> None:
    told = run(tmp_path, "for n in $(seq 20000); do echo line $n; done")
    lines = told.said[0].splitlines()
    assert len(told.said[0]) <= KEPT
    assert lines[-1] == "line 20000"
    assert all(line.startswith("line ") for line in lines)


def test_numbered_streams_are_free_for_the_steps(tmp_path: Path) -> None:
    told = run(tmp_path, "exec 3>three 9>nine; echo x >&9", "exec >elsewhere 2>&1; echo hidden", "echo too")
    assert told.ends == [("s1", 0, ""), ("s2", 0, ""), ("s3", 0, "")]
    assert (tmp_path / "elsewhere").read_text() == "hidden\ntoo\n"


def test_a_step_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    began = time.monotonic()
    told = run(tmp_path, "echo before", "sleep 300 & echo $!\necho waiting\nwait", "echo never", limit_s=0.5)
    assert time.monotonic() - began < 10
    assert told.ends == [("s1", 0, ""), ("s2", None, "limit")]
    pid, words = told.said[1].splitlines()
    assert words == "waiting"
    wait_for("the process to be gone", lambda: None if alive(int(pid)) else True, limit="5s")


def test_what_a_step_leaves_in_the_background_ends_with_the_last_step(tmp_path: Path) -> None:
    began = time.monotonic()
    told = run(tmp_path, "sleep 300 & echo $!", "while :; do echo noise; done & echo done")
    assert time.monotonic() - began < 10
    assert told.ends == [("s1", 0, ""), ("s2", 0, "")]
    wait_for("the process to be gone", lambda: None if alive(int(told.said[0])) else True, limit="5s")


def test_a_shell_that_is_ended_may_clean_up(tmp_path: Path) -> None:
    run(tmp_path, "trap 'echo cleaned > trace' EXIT", "sleep 300", limit_s=0.5)
    assert (tmp_path / "trace").read_text() == "cleaned\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt, HarnessError])
def test_what_the_pulse_raises_ends_the_step_and_passes_through(
    tmp_path: Path, error: type[BaseException]
) -> None:
    told, over = Told(), threading.Event()
    timer = threading.Timer(0.4, over.set)
    timer.start()

    def pulse() -> None:
        if over.is_set():
            raise error("enough")

    with pytest.raises(error):
        run(tmp_path, "echo $$; sleep 300", told=told, pulse=pulse)
    assert told.ends == [("s1", None, "stop")]
    assert not alive(int(told.said[0]))


def test_a_host_without_bash_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HarnessError, match="bash, which does not start"):
        run(tmp_path, "true")


def test_no_stream_is_left_open(tmp_path: Path) -> None:
    before = _open()
    run(tmp_path, "true")
    assert _open() == before


def _open() -> Sequence[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())
