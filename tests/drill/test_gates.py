from __future__ import annotations

import threading
from pathlib import Path

from blackstart.drill.gates import StealGate, cpu_times


def _stat(total: int, stolen: int) -> str:
    return f"cpu {total - stolen} 0 0 0 0 0 0 {stolen} 0 0\ncpu0 1 2 3\n"


def test_total_and_stolen_come_from_the_first_line() -> None:
    assert cpu_times("cpu 10 1 5 80 2 0 1 7 0 0\n") == (106, 7)


def test_the_gate_trips_when_the_hypervisor_ran_someone_else(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(_stat(1000, 0))
    tripped = threading.Event()
    gate = StealGate(lambda name: tripped.set(), stat, every_s=0.02)
    gate.start()
    fresh = tmp_path / "fresh"
    fresh.write_text(_stat(1200, 100))
    fresh.replace(stat)
    assert tripped.wait(5)
    gate.stop()


def test_the_gate_stays_quiet_under_the_limit(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(_stat(1000, 0))
    tripped = threading.Event()
    gate = StealGate(lambda name: tripped.set(), stat, every_s=0.01)
    gate.start()
    fresh = tmp_path / "fresh"
    fresh.write_text(_stat(1200, 20))
    fresh.replace(stat)
    assert not tripped.wait(0.2)
    gate.stop()
