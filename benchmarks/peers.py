"""The tools that the benchmarks compare with, at fixed versions, installed once in a cache of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

K6 = "go.k6.io/k6@v1.8.1"
CHAOS_TOOLKIT = "chaostoolkit==1.19.0"


def cache() -> Path:
    """`$XDG_CACHE_HOME/blackstart/bench`."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "blackstart" / "bench"


def k6() -> str | None:
    """Path of k6: from PATH, else built with Go; None without Go."""
    if found := shutil.which("k6"):
        return found
    binary = cache() / "bin" / "k6"
    if not binary.exists():
        if shutil.which("go") is None:
            return None
        print(f"building {K6}", flush=True)
        subprocess.run(["go", "install", K6], env={**os.environ, "GOBIN": str(binary.parent)}, check=True)
    return str(binary)


def chaos_toolkit() -> str | None:
    """Path of `chaos` in an environment of its own; None if it can't be installed."""
    home = cache() / CHAOS_TOOLKIT.replace("==", "-")
    binary = home / "bin" / "chaos"
    if not binary.exists():
        print(f"installing {CHAOS_TOOLKIT}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        done = subprocess.run([str(home / "bin" / "pip"), "install", "-q", CHAOS_TOOLKIT], check=False)
        if done.returncode:
            return None
    return str(binary)


def real_time() -> list[str]:
    """The command that gives a process the priority that ours takes; empty where that is not allowed."""
    chrt = ["chrt", "--rr", "1"]
    if shutil.which(chrt[0]) is None:
        return []
    tried = subprocess.run([*chrt, "true"], capture_output=True, check=False)
    return [] if tried.returncode else chrt
