"""The pytest plugin: options, the marker `chaos`, the fixture `drill`, the summary. Thin on purpose.

It loads in every suite of its user, so everything that needs Docker is imported on first use.
"""

from __future__ import annotations

import shlex
import signal
import sys
import time
import zlib
from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from blackstart.drill.declare import ATTRIBUTE
from blackstart.drill.order import by_stack, stack_of
from blackstart.model.errors import BlackstartError, CapabilityMissing, HarnessError
from blackstart.model.experiment import Control, Experiment, Role

if TYPE_CHECKING:
    from blackstart.drill.planned import Plan
    from blackstart.drill.result import Result
    from blackstart.drill.session import StackSession
    from blackstart.drill.stacks import Stacks
    from blackstart.drill.trial import Drill

_results = pytest.StashKey[list["Result"]]()
_summary = pytest.StashKey["Path | None"]()
_took = pytest.StashKey[tuple[float, float]]()
_trouble = pytest.StashKey[bool]()
_refuted = pytest.StashKey[bool]()
#: Exit status where only the harness had trouble, as of `blackstart measure`.
NO_VERDICT = 3


def pytest_addoption(parser: pytest.Parser) -> None:
    """Every option starts with --chaos."""
    group = parser.getgroup("blackstart", "chaos drills (Blackstart)")
    group.addoption(
        "--chaos-dir", default="reports", metavar="DIR", help="where runs write (default: reports)"
    )
    group.addoption(
        "--chaos-trials", type=int, default=1, metavar="N", help="run each drill N times (default: 1)"
    )
    group.addoption("--chaos-controls", action="store_true", help="also run each drill's negative control")
    group.addoption(
        "--chaos-rotate",
        type=int,
        metavar="N",
        help="of the negative controls run N only, every day others (implies --chaos-controls)",
    )
    group.addoption("--chaos-placebo", action="store_true", help="also run each drill with no fault injected")
    group.addoption(
        "--chaos-only", choices=[r.value for r in Role], help="run only drills, controls or placebos"
    )
    group.addoption(
        "--chaos-platform", default="docker", metavar="NAME", help="where instances live (docker)"
    )
    group.addoption(
        "--chaos-keep-stack", action="store_true", help="leave the (last) stack running for the next run"
    )
    group.addoption(
        "--chaos-plan",
        action="store_true",
        help="print what would be injected, where and for how long, and touch nothing",
    )
    group.addoption(
        "--chaos-step", action="store_true", help="wait for Enter while each fault is in force (terminal)"
    )
    group.addoption(
        "--chaos-stop-probe",
        metavar="URL",
        help="undo and end if URL does not answer 2xx twice in a row (as does a file STOP in --chaos-dir)",
    )
    group.addoption(
        "--chaos-error-budget",
        type=int,
        metavar="N",
        help="undo and end once drills have cost clients more than N operations",
    )
    group.addoption(
        "--chaos-ceilings",
        type=float,
        default=1.0,
        metavar="N",
        help="judge timings of drills by N times their bounds (CI on shared machines); controls as ever",
    )
    group.addoption("--chaos-seed", type=int, default=None, metavar="N", help="seed of load and timing")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, prepare what the session collects."""
    config.addinivalue_line(
        "markers", "chaos: a drill that injects faults; runs only when -m or a node id names it"
    )
    if config.option.chaos_ceilings < 1:
        raise pytest.UsageError(f"--chaos-ceilings {config.option.chaos_ceilings:g}: at least 1")
    config.stash[_results] = []
    config.stash[_summary] = None
    config.stash[_trouble] = config.stash[_refuted] = False


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A decorated test runs once per trial, and as placebo and control where asked for."""
    if not hasattr(metafunc.function, ATTRIBUTE) or "drill" not in metafunc.fixturenames:
        return
    option = metafunc.config.option
    spec: Experiment = getattr(metafunc.function, ATTRIBUTE)
    runs: list[tuple[Role, int, Control | None]] = []
    if option.chaos_placebo or option.chaos_only == Role.PLACEBO:
        runs.append((Role.PLACEBO, 1, None))
    runs += [(Role.DRILL, n, None) for n in range(1, max(1, option.chaos_trials) + 1)]
    if option.chaos_controls or option.chaos_rotate or option.chaos_only == Role.CONTROL:
        runs += [(Role.CONTROL, 1, control) for control in spec.controls]
    if option.chaos_only:
        runs = [run for run in runs if run[0] == option.chaos_only]
    names = {Role.DRILL: "trial{}", Role.PLACEBO: "placebo", Role.CONTROL: "control"}
    ids = [names[r].format(n) + (f"-{control.variant}" if control else "") for r, n, control in runs]
    metafunc.parametrize("drill", runs, ids=ids, indirect=True)


def rotated(number: int, of: int, day: int) -> set[int]:
    """Which `number` of so many are a day's turn: all have had theirs after ceil(of / number) days."""
    return {(day * number + place) % of for place in range(min(number, of))}


@pytest.hookimpl(trylast=True)  # what `-m` and `-k` leave out has no turn
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drills run only if `-m` speaks of chaos or a node id names them; stack by stack, never under xdist."""
    if "chaos" not in (config.option.markexpr or ""):
        named = tuple(a.split("[")[0] for a in config.args if "::" in a)
        out = [i for i in items if i.get_closest_marker("chaos") and not _is_named(i, named)]
        _leave_out(config, items, out)
    if config.option.chaos_rotate is not None:
        controls = [i for i in items if _role(i) == Role.CONTROL]
        turn = rotated(config.option.chaos_rotate, len(controls), datetime.now(UTC).toordinal())
        _leave_out(config, items, [i for place, i in enumerate(controls) if place not in turn])
    items[:] = by_stack(items)
    parallel = getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput")
    if parallel and any(i.get_closest_marker("chaos") for i in items):
        raise pytest.UsageError("drills share one stack and one machine: run them without xdist (-n 0)")


def _leave_out(config: pytest.Config, items: list[pytest.Item], out: list[pytest.Item]) -> None:
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [i for i in items if i not in out]


def _role(item: pytest.Item) -> Role | None:
    """As what a drill is run; None of another test."""
    run = getattr(item, "callspec", None) and item.callspec.params.get("drill")  # type: ignore[attr-defined]
    return run[0] if isinstance(run, tuple) else None


def _is_named(item: pytest.Item, named: tuple[str, ...]) -> bool:
    path = str(item.path)
    return any(
        path.endswith(a.split("::")[0]) and f"::{item.name}".startswith(f"::{a.split('::')[-1]}")
        for a in named
    )


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With --chaos-plan every drill is rehearsed, and nothing else is run."""
    config = session.config
    if not config.option.chaos_plan or session.testsfailed:
        return None
    from blackstart.drill.planned import PLAN, planned

    config.stash[PLAN] = planned(session.items, config.rootpath, _reports(config))
    return True


def _planned(config: pytest.Config) -> Plan | None:
    """The plan, where there is one."""
    if not config.option.chaos_plan:
        return None
    from blackstart.drill.planned import PLAN

    return config.stash.get(PLAN, None)


def _reports(config: pytest.Config) -> Path:
    return Path(config.invocation_params.dir, config.option.chaos_dir).resolve()


@pytest.fixture(scope="session")
def blackstart_stacks(request: pytest.FixtureRequest) -> Iterator[Stacks]:
    """The project's stacks, of which one is up at a time; the report is written when the last is done."""
    from blackstart.drill.console import Progress
    from blackstart.drill.relate import relate
    from blackstart.drill.session import supported
    from blackstart.drill.stacks import Stacks
    from blackstart.injection.stopping import Stops

    config = request.config
    option, reports = config.option, _reports(config)
    supported(option.chaos_platform)
    needed = [name for item in request.session.items if (name := stack_of(item)) is not None]
    stacks = Stacks(
        root=config.rootpath,
        reports=reports,
        progress=Progress(sys.__stderr__),
        stops=Stops(reports, option.chaos_stop_probe, option.chaos_error_budget),
        keep=(needed or [""])[-1] if option.chaos_keep_stack else None,
    )
    stop = stacks.stops.stop

    def terminated(*_: object) -> None:
        if not stop.heeded:
            raise KeyboardInterrupt("terminated")
        stop.request("SIGTERM")

    signal.signal(signal.SIGTERM, terminated)
    begun = time.monotonic()
    try:
        yield stacks
    finally:
        with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            try:
                results = config.stash[_results]
                config.stash[_summary] = relate(results, stacks.folder, stacks.secrets)
            finally:
                stacks.close()
                config.stash[_took] = stacks.started_s, time.monotonic() - begun


@pytest.fixture
def blackstart_session(request: pytest.FixtureRequest, blackstart_stacks: Stacks) -> StackSession:
    """The stack of the test's experiment, up and steady; for a test that is none, the project's first."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    blackstart_stacks.progress.fresh_line()
    with capture.global_and_fixture_disabled():
        return blackstart_stacks.use(stack_of(request.node) or "")


@pytest.fixture
def drill(request: pytest.FixtureRequest, blackstart_session: StackSession) -> Drill:
    """One trial of the experiment that the test is."""
    from blackstart.drill.trial import Drill

    spec: Experiment | None = getattr(request.function, ATTRIBUTE, None)
    if spec is None:
        raise pytest.UsageError(
            f"{request.node.nodeid}: the fixture 'drill' needs the decorator @experiment(...)"
        )
    spec.validate(blackstart_session.stack.variants, request.config.rootpath / "runbooks")
    role, trial, control = getattr(request, "param", (Role.DRILL, 1, None))
    config = request.config
    command = f"pytest {shlex.quote(request.node.nodeid)}"
    # A weakness must show within the bounds themselves.
    ceilings = 1.0 if role is Role.CONTROL else config.option.chaos_ceilings
    if ceilings > 1:
        command += f" --chaos-ceilings {ceilings:g}"
    seed = config.option.chaos_seed
    if seed is None:
        seed = zlib.crc32(f"{blackstart_session.run_id} {request.node.nodeid}".encode())
    return Drill(
        session=blackstart_session,
        experiment=replace(spec, objectives=spec.objectives.at_ceilings(ceilings)),
        ceilings=ceilings,
        role=role,
        trial=trial,
        control=control,
        step=config.option.chaos_step,
        seed=seed,
        runbook=config.rootpath / "runbooks" / f"{spec.runbook}.md",
        command=f"{command} --chaos-seed {seed}",
        results=config.stash[_results],
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Show progress while a drill runs; skip what the platform cannot do; tag its outcome for JUnit."""
    if item.get_closest_marker("chaos") is None:
        return (yield)
    capture = item.config.pluginmanager.getplugin("capturemanager")
    before = len(item.config.stash[_results])
    try:
        with capture.global_and_fixture_disabled():
            return (yield)
    except CapabilityMissing as error:
        pytest.skip(str(error))
    finally:
        if (session := item.funcargs.get("blackstart_session")) is not None:  # type: ignore[attr-defined]
            session.progress.fresh_line()
            if session.stop.reason:
                item.session.shouldstop = f"stopped: {session.stop.reason}"
        if new := item.config.stash[_results][before:]:
            from blackstart.drill.record import properties

            item.user_properties += [pair for result in new for pair in properties(result)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Harness trouble and failed hypotheses read as one sentence each, without a traceback."""
    report = yield
    drill = item.get_closest_marker("chaos") is not None
    if drill and call.excinfo is not None and call.excinfo.errisinstance(BlackstartError):
        report.blackstart_error = call.excinfo.errisinstance(HarnessError)
        if report.blackstart_error:
            item.config.stash[_trouble] = True
            report.when = "setup" if report.when == "call" else report.when  # JUnit: an error, no failure
        else:
            item.config.stash[_refuted] = True
        if item.config.option.tbstyle == "auto":
            report.longrepr = f"{call.excinfo.type.__name__}: {call.excinfo.value}"
    return report


def pytest_report_teststatus(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
    """Harness trouble is an error, never a failure."""
    if report.failed and getattr(report, "blackstart_error", False):
        return "error", "E", "ERROR"
    return None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Exit 3 where nothing failed but the harness: there is no verdict, good or bad."""
    stash = session.config.stash
    if (plan := _planned(session.config)) is not None and not plan.sound:
        session.exitstatus = NO_VERDICT
    if session.exitstatus == pytest.ExitCode.TESTS_FAILED and stash[_trouble] and not stash[_refuted]:
        session.exitstatus = NO_VERDICT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The plan; or a table of verdicts and the path of the report."""
    if (plan := _planned(config)) is not None:
        from blackstart.drill.plan import plan_lines

        terminalreporter.section("plan")
        for line in plan_lines(plan, datetime.now(UTC)):
            terminalreporter.write_line(line)
    if results := config.stash[_results]:
        from blackstart.drill.table import summary_lines

        terminalreporter.section("drills")
        for line in summary_lines(results):
            terminalreporter.write_line(line)
        if took := config.stash.get(_took, None):
            from blackstart.drill.times import time_line

            terminalreporter.write_line(time_line(results, *took))
        if path := config.stash[_summary]:
            terminalreporter.write_line(f"report: {path}")
