from __future__ import annotations

import threading
from pathlib import Path

import pytest

from blackstart.drill.gates import Gates, StealGate, await_calm, cpu_times
from tests.observe.places import Events


def _stat(total: int, stolen: int, busy: int = 0) -> str:
    return f"cpu {busy} 0 0 {total - stolen - busy} 0 0 0 {stolen} 0 0\ncpu0 1 2 3\n"


def test_total_and_stolen_come_from_the_first_line() -> None:
    assert cpu_times("cpu 10 1 5 80 2 0 1 7 0 0\n") == (106, 82, 7)


@pytest.mark.parametrize(
    ("stolen", "busy", "ceilings", "trips"),
    [
        (100, 0, 1, True),
        (40, 0, 1, False),
        (40, 155, 1, True),
        (40, 145, 1, False),
        (15, 185, 1, False),
        (40, 155, 3, False),
        (100, 0, 3, False),
        (130, 0, 3, True),
        (70, 130, 3, True),
    ],
)
def test_the_gate_trips_when_the_hypervisor_ran_someone_else(
    tmp_path: Path, stolen: int, busy: int, ceilings: float, trips: bool
) -> None:
    stat, fresh = tmp_path / "stat", tmp_path / "fresh"
    stat.write_text(_stat(1000, 0))
    tripped = threading.Event()
    gate = StealGate(lambda name: tripped.set(), stat, every_s=0.02, ceilings=ceilings)
    gate.start()
    fresh.write_text(_stat(1200, stolen, busy))
    fresh.replace(stat)
    assert tripped.wait(5 if trips else 0.3) == trips
    gate.stop()


def test_a_gate_counts_once_and_only_while_the_trial_is_measured() -> None:
    events = Events()
    gates = Gates(events)
    gates.event("gate", "trip", gate="sentinel-tilt")
    assert not events.all
    assert not gates.tripped
    gates.counting = True
    gates.event("gate", "trip", gate="sentinel-tilt")
    gates.event("gate", "trip", gate="sentinel-tilt")
    gates.trip("load-lag")
    gates.counting = False
    gates.trip("host-steal")
    assert gates.tripped == ["sentinel-tilt", "load-lag"]
    assert [e["gate"] for e in events.all] == ["sentinel-tilt", "load-lag"]


def test_what_a_fault_has_struck_proves_nothing_of_the_machine() -> None:
    gates = Gates(Events())
    gates.counting = True
    gates.strike(["sentinel-2"])
    gates.event("gate", "trip", gate="sentinel-tilt", instance="sentinel-2")
    assert not gates.tripped
    gates.event("gate", "trip", gate="sentinel-tilt", instance="sentinel-1")
    assert gates.tripped == ["sentinel-tilt"]


def test_what_sources_tell_besides_is_written_as_it_is() -> None:
    events = Events()
    Gates(events).event("sentinel", "+sdown", server="redis-1")
    assert events.all == [{"source": "sentinel", "event": "+sdown", "server": "redis-1"}]


def test_a_host_that_was_stolen_from_before_the_measurement_trips_again(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(_stat(1000, 0))
    tripped: list[str] = []
    again = threading.Semaphore(0)

    def trip(name: str) -> None:
        tripped.append(name)
        fresh = tmp_path / "fresh"
        fresh.write_text(_stat(1000 + 1000 * len(tripped), 900 * len(tripped) + 900))
        fresh.replace(stat)
        again.release()

    gate = StealGate(trip, stat, every_s=0.02)
    gate.start()
    fresh = tmp_path / "fresh"
    fresh.write_text(_stat(1500, 400))
    fresh.replace(stat)
    assert again.acquire(timeout=5)
    assert again.acquire(timeout=5)
    gate.stop()


def test_the_gate_judges_whole_windows_only(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(_stat(1000, 0))
    tripped = threading.Event()
    gate = StealGate(lambda name: tripped.set(), stat, every_s=0.05, window=1000)
    gate.start()
    fresh = tmp_path / "fresh"
    fresh.write_text(_stat(1200, 190))
    fresh.replace(stat)
    assert not tripped.wait(0.5), "the window is not yet full"
    gate.stop()


def test_a_calm_machine_is_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(_stat(1000, 0))
    never = threading.Event()
    assert await_calm(never, stat, every_s=0.01, calm=3, limit_s=5)
    assert await_calm(never, tmp_path / "none", calm=3)
    busy = threading.Event()

    def neighbour() -> None:
        stolen = 0
        while not busy.wait(0.002):
            stolen += 50
            fresh = tmp_path / "fresh"
            fresh.write_text(_stat(1000 + 2 * stolen, stolen))
            fresh.replace(stat)

    thread = threading.Thread(target=neighbour)
    thread.start()
    try:
        assert not await_calm(never, stat, every_s=0.05, calm=3, limit_s=0.5)
    finally:
        busy.set()
        thread.join()
    stopped = threading.Event()
    stopped.set()
    assert not await_calm(stopped, stat, calm=3)
