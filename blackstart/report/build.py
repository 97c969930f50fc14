"""Build a run's report: report.html, report.md and journal.json beside its evidence."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from blackstart.report import words
from blackstart.report.folder import read_folder
from blackstart.report.journal import journal
from blackstart.report.redact import redact_page
from blackstart.report.view import view

#: Longer texts are cut in tables; the run's files hold them whole.
_CELL = 500


def build(folder: Path, secrets: Iterable[str] = ()) -> list[Path]:
    """Write report.html, report.md and journal.json into `folder`, from its files alone; returns their paths.

    `secrets` are masked wherever they occur, beside what looks like one. Raises EvidenceError when a file is
    missing or malformed.
    """
    secrets = tuple(secrets)
    data = read_folder(folder, secrets)
    context = view(data)
    written = []
    for name in ("report.html", "report.md"):
        page = environment().get_template(f"{name}.j2").render(context)
        written.append(write(folder / name, redact_page(page, secrets)))
    told = json.dumps(journal(data.run), indent=2, default=str)
    written.append(write(folder / "journal.json", f"{told}\n"))
    return written


def junit_properties(run: Mapping[str, Any]) -> dict[str, str]:
    """What a JUnit file says of a run: flat `blackstart.…` properties from run.json's data."""
    measure = run.get("measure") or {}
    rto, rpo = measure.get("rto") or {}, measure.get("rpo") or {}
    told: dict[str, Any] = {
        "run_id": run.get("run_id"),
        "role": run.get("role"),
        "trial": run.get("trial"),
        "seed": run.get("seed"),
        "verdict": run.get("verdict"),
        "rto.f": rto.get("f"),
        "rto.lo_s": rto.get("lo_s"),
        "rto.hi_s": rto.get("hi_s"),
        "rto.censored": rto.get("censored"),
        "rpo.lost": rpo.get("lost"),
        "rpo.oldest_s": rpo.get("oldest_s"),
        "availability.during": (measure.get("availability") or {}).get("during"),
        "latency_p99_ms.during": ((measure.get("latency_ms") or {}).get("during") or {}).get("p99"),
    }
    for finding in run.get("findings") or ():
        told[f"objective.{finding['objective']}"] = finding["verdict"]
    return {
        f"blackstart.{k}": str(v).lower() if isinstance(v, bool) else str(v)
        for k, v in told.items()
        if v is not None
    }


def environment() -> Environment:
    """Templates with autoescape for HTML; Markdown templates escape through the filter `md`."""
    env = Environment(
        loader=PackageLoader("blackstart.report"),
        autoescape=lambda name: name is None or ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters |= {
        "secs": words.secs,
        "moment": words.moment,
        "count": words.count,
        "instant": words.instant,
        "md": markdown,
        "code": code,
        "cell": lambda v: text if len(text := str(v)) <= _CELL else f"{text[:_CELL]} …",
    }
    env.globals |= {
        "signs": words.SIGNS,
        "verdict_words": words.WORDS,
        "caught_words": words.CAUGHT,
    }
    return env


def markdown(value: Any) -> str:
    """`value` as literal text within a line of Markdown, in a table cell or not."""
    text = " ".join(str(value).replace(words.NBSP, " ").split())
    for sign in "\\`*_[]|~#":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")


def code(value: Any) -> str:
    """`value` as a code span that its own backticks cannot end."""
    text = " ".join(str(value).split()).replace("|", "\\|")
    fence = "`"
    while fence in text:
        fence += "`"
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


def write(path: Path, page: str) -> Path:
    """Write whole or not at all: a reader never sees half a report."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(page, encoding="utf-8")
    draft.replace(path)
    return path
