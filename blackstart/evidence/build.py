"""A run's folder in, a dated and signed folder of evidence out; the same run gives the same bytes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from blackstart.evidence import keys, raw
from blackstart.evidence.facts import assemble
from blackstart.evidence.page import page
from blackstart.evidence.sums import (
    FACTS,
    PAGE,
    PUBLIC_KEY,
    RUNS,
    SIGNATURE,
    SUMS,
    is_plain,
    lines,
    listing,
    sha256,
)
from blackstart.evidence.trial import Facts
from blackstart.model.errors import EvidenceError


@dataclass(frozen=True)
class Built:
    """A finished folder of evidence and what it says."""

    folder: Path
    facts: Facts


def build(
    run: Path,
    out: Path,
    key: Ed25519PrivateKey,
    targets: Mapping[str, str] | None = None,
    secrets: Iterable[str] = (),
) -> Built:
    """Make `evidence-<date>-<run id>` in `out` from the folder `run` of a run; signed with `key`.

    `targets` (`{"rto": "60s"}`) are compared with every drill, beside its own objectives. `secrets` are
    masked wherever they occur, beside what looks like one. Date and contents depend on the run alone.
    Raises EvidenceError where a file is unusable, run.json says otherwise than its history, or the folder is
    there already.
    """
    run, out = run.resolve(), out.resolve()
    if not run.is_dir():
        raise EvidenceError(str(run), "no such folder")
    if out == run or run in out.parents:
        raise EvidenceError(str(out), "lies in the run's own folder: put the evidence elsewhere")
    draft = out / f".evidence-{os.getpid()}"
    try:
        draft.mkdir(parents=True)
        try:
            facts = _write(run, draft, key, targets or {}, tuple(secrets))
            folder = out / f"evidence-{facts['date']}-{facts['run_id']}"
            if not is_plain(folder.name):
                raise EvidenceError(str(run), f"run id {facts['run_id']!r} cannot be the name of a folder")
            if folder.exists():
                raise EvidenceError(
                    str(folder), "is there already, and evidence is never replaced: use another --out"
                )
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise EvidenceError(str(error.filename or out), error.strerror or str(error)) from None
    return Built(folder, facts)


def _write(
    run: Path, draft: Path, key: Ed25519PrivateKey, targets: Mapping[str, str], secrets: tuple[str, ...]
) -> Facts:
    whole, unfinished = raw.trials(run)
    places = {folder: f"{RUNS}/{_path(folder, run)}" for folder in whole}
    masked = {}
    for folder, place in places.items():
        for name, digest in raw.copy(folder, draft / place, secrets).items():
            masked[f"{place}/{name}"] = digest
    if not whole:
        raise EvidenceError(str(run), "no trial: nothing below it has a run.json")
    public = key.public_key()
    names = [_path(folder, run) for folder in unfinished]
    try:
        facts = assemble(draft / RUNS, targets, keys.fingerprint(public), masked, names)
    except EvidenceError as error:
        raise EvidenceError(_original(error.file, run, draft, places), error.what, error.line) from None
    (draft / FACTS).write_bytes(rendered(facts))
    (draft / PAGE).write_text(page(facts), encoding="utf-8")
    (draft / PUBLIC_KEY).write_bytes(keys.public_pem(public))
    listed = lines({path: sha256(draft / path) for path in listing(draft)[0]})
    (draft / SUMS).write_bytes(listed)
    (draft / SIGNATURE).write_bytes(key.sign(listed))
    return facts


def rendered(facts: Facts) -> bytes:
    """evidence.json of these facts."""
    return f"{json.dumps(facts, indent=1, ensure_ascii=False)}\n".encode()


def _path(folder: Path, run: Path) -> str:
    """What the trial's folder is called in the evidence: as below the run, or by its own name if it is it."""
    path = folder.relative_to(run).as_posix() if folder != run else folder.name
    if not is_plain(path):
        raise EvidenceError(
            str(folder),
            "its name has more than letters, digits and ._@+=,- (or begins with a sign): rename it",
        )
    return path


def _original(file: str, run: Path, draft: Path, places: Mapping[Path, str]) -> str:
    """The file that a copy was made of: the draft is gone when its name is read."""
    for folder, place in places.items():
        copied = draft / place
        if Path(file).is_relative_to(copied):
            return str(folder / Path(file).relative_to(copied))
    return str(run) if Path(file).is_relative_to(draft) else file
