"""The pytest plugin: options, the marker `chaos`, the fixture `drill`, the summary. Thin on purpose.

It loads in every suite of its user, so everything that needs Docker is imported on first use.
"""

from __future__ import annotations

import shlex
import signal
import sys
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from blackstart.model.errors import BlackstartError, CapabilityMissing, HarnessError
from blackstart.model.experiment import Experiment, Role

if TYPE_CHECKING:
    from blackstart.drill.result import Result
    from blackstart.drill.session import StackSession
    from blackstart.drill.trial import Drill

ATTRIBUTE = "__blackstart__"
_results = pytest.StashKey[list["Result"]]()
_folder = pytest.StashKey[Path]()
_summary = pytest.StashKey["Path | None"]()


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
    group.addoption("--chaos-placebo", action="store_true", help="also run each drill with no fault injected")
    group.addoption(
        "--chaos-only", choices=[r.value for r in Role], help="run only drills, controls or placebos"
    )
    group.addoption(
        "--chaos-platform", default="docker", metavar="NAME", help="where instances live (docker)"
    )
    group.addoption(
        "--chaos-keep-stack", action="store_true", help="leave the stack running for the next run"
    )
    group.addoption("--chaos-seed", type=int, default=None, metavar="N", help="seed of load and timing")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, prepare what the session collects."""
    config.addinivalue_line(
        "markers", "chaos: a drill that injects faults; runs only when -m or a node id names it"
    )
    config.stash[_results] = []
    config.stash[_summary] = None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A decorated test runs once per trial, and as placebo and control where asked for."""
    if not hasattr(metafunc.function, ATTRIBUTE) or "drill" not in metafunc.fixturenames:
        return
    option = metafunc.config.option
    runs = [(Role.DRILL, n) for n in range(1, max(1, option.chaos_trials) + 1)]
    if option.chaos_placebo or option.chaos_only == Role.PLACEBO:
        runs.insert(0, (Role.PLACEBO, 1))
    if option.chaos_controls or option.chaos_only == Role.CONTROL:
        runs.append((Role.CONTROL, 1))
    if option.chaos_only:
        runs = [run for run in runs if run[0] == option.chaos_only]
    ids = [role.value if role is not Role.DRILL else f"trial{n}" for role, n in runs]
    metafunc.parametrize("drill", runs, ids=ids, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drills run only when `-m` speaks of chaos or a node id names them; never under xdist."""
    if "chaos" not in (config.option.markexpr or ""):
        named = tuple(a.split("[")[0] for a in config.args if "::" in a)
        out = [i for i in items if i.get_closest_marker("chaos") and not _is_named(i, named)]
        if out:
            config.hook.pytest_deselected(items=out)
            items[:] = [i for i in items if i not in out]
    parallel = getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput")
    if parallel and any(i.get_closest_marker("chaos") for i in items):
        raise pytest.UsageError("drills share one stack and one machine: run them without xdist (-n 0)")


def _is_named(item: pytest.Item, named: tuple[str, ...]) -> bool:
    path = str(item.path)
    return any(
        path.endswith(a.split("::")[0]) and f"::{item.name}".startswith(f"::{a.split('::')[-1]}")
        for a in named
    )


@pytest.fixture(scope="session")
def blackstart_session(request: pytest.FixtureRequest) -> Iterator[StackSession]:
    """The stack named by `[tool.blackstart] stack`, up and steady, for the whole session."""
    from blackstart.drill.console import Progress
    from blackstart.drill.session import StackSession, supported
    from blackstart.stack.declared import load_stack

    config = request.config
    supported(config.option.chaos_platform)
    signal.signal(signal.SIGTERM, _interrupt)
    session = StackSession(
        stack=load_stack(config.rootpath),
        reports=Path(config.invocation_params.dir, config.option.chaos_dir).resolve(),
        progress=Progress(sys.__stderr__),
        keep=config.option.chaos_keep_stack,
    )
    capture = config.pluginmanager.getplugin("capturemanager")
    session.progress.fresh_line()
    with capture.global_and_fixture_disabled():
        session.__enter__()
    config.stash[_folder] = session.folder
    try:
        yield session
    finally:
        with capture.global_and_fixture_disabled():
            try:
                _conclude(config, session.stack.secrets)
            finally:
                session.__exit__(None, None, None)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt("terminated")


def _conclude(config: pytest.Config, secrets: tuple[str, ...]) -> None:
    from blackstart.drill.relate import relate

    results = config.stash[_results]
    config.stash[_summary] = relate(results, config.stash[_folder], secrets)


@pytest.fixture
def drill(request: pytest.FixtureRequest, blackstart_session: StackSession) -> Drill:
    """One trial of the experiment that the test is."""
    from blackstart.drill.trial import Drill

    spec: Experiment | None = getattr(request.function, ATTRIBUTE, None)
    if spec is None:
        raise pytest.UsageError(
            f"{request.node.nodeid}: the fixture 'drill' needs the decorator @experiment(...)"
        )
    role, trial = getattr(request, "param", (Role.DRILL, 1))
    config = request.config
    seed = config.option.chaos_seed
    if seed is None:
        seed = zlib.crc32(f"{blackstart_session.run_id} {request.node.nodeid}".encode())
    return Drill(
        session=blackstart_session,
        experiment=spec,
        role=role,
        trial=trial,
        seed=seed,
        runbook=config.rootpath / "runbooks" / f"{spec.runbook}.md",
        command=f"pytest {shlex.quote(request.node.nodeid)} --chaos-seed {seed}",
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
        for result in item.config.stash[_results][before:]:
            rto = result.measured["rto"]
            item.user_properties += [
                ("blackstart.verdict", str(result.verdict)),
                ("blackstart.role", str(result.role)),
                ("blackstart.rto_lo_s", rto["lo_s"]),
                ("blackstart.rto_hi_s", rto["hi_s"]),
                ("blackstart.lost", result.measured["rpo"]["lost"]),
                ("blackstart.report", str(result.folder / "report.html")),
            ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Harness trouble and failed hypotheses read as one sentence each, without a traceback."""
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(BlackstartError):
        report.blackstart_error = call.excinfo.errisinstance(HarnessError)
        if item.config.option.tbstyle == "auto":
            report.longrepr = f"{call.excinfo.type.__name__}: {call.excinfo.value}"
    return report


def pytest_report_teststatus(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
    """Harness trouble is an error, never a failure."""
    if report.failed and getattr(report, "blackstart_error", False):
        return "error", "E", "ERROR"
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """A table of verdicts and the path of the report."""
    if results := config.stash[_results]:
        from blackstart.drill.table import summary_lines

        terminalreporter.section("drills")
        for line in summary_lines(results):
            terminalreporter.write_line(line)
        if path := config.stash[_summary]:
            terminalreporter.write_line(f"report: {path}")
