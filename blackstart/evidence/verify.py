"""Whether a folder of evidence is as it was signed, and its verdicts follow from its histories."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from blackstart.evidence import keys
from blackstart.evidence.facts import assemble
from blackstart.evidence.page import page
from blackstart.evidence.sums import (
    FACTS,
    PAGE,
    PUBLIC_KEY,
    RUNS,
    SIGNATURE,
    SUMS,
    Problem,
    compare,
    listing,
    parse,
    shown,
)
from blackstart.evidence.trial import Facts
from blackstart.model.errors import ConfigError, EvidenceError

#: What every folder of evidence holds; one with none of them is something else.
_FIXED = (SUMS, SIGNATURE, PUBLIC_KEY, FACTS, PAGE)
#: What must come out again whatever version computes it; the rest is wording.
_CORE = ("path", "role", "verdict", "proof", "measure", "check", "superseded", "restores")
_CORE_OF_A_FAULT = ("begin_s", "end_s")
_CORE_OF_A_STEP = ("runbook", "step", "sha256", "must_fail", "begin_s", "end_s", "exit")
#: More differences than this are not told one by one.
_MOST = 12


#: What a file can make its reader raise into which somebody wrote what he liked.
_ANYTHING = (ConfigError, KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class Verification:
    """What was found. `trusted`: the key is one that the caller named, not merely the one in the folder.

    `fingerprint` is that of the key that the signature was checked with, None if there was none.
    """

    problems: tuple[Problem, ...]
    fingerprint: str | None
    trusted: bool
    files: int = 0
    facts: Facts = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong, as far as it could be compared."""
        return not self.problems

    @property
    def compared(self) -> bool:
        """Whether the page could be compared with what the histories give."""
        return not self.notes


@dataclass(frozen=True)
class _Again:
    """What came of judging once more."""

    problems: tuple[Problem, ...] = ()
    facts: Facts = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def verify(
    folder: Path, public_key: Ed25519PublicKey | None = None, fingerprint: str | None = None
) -> Verification:
    """Check the evidence in `folder` against the signer's key, or its fingerprint, where one is given.

    Nothing outside of the folder is read, and no link followed. Raises EvidenceError where the folder is no
    evidence at all or cannot be read, ConfigError for what is no fingerprint.
    """
    if not folder.is_dir():
        raise EvidenceError(str(folder), "no such folder")
    try:
        found, problems = listing(folder)
        odd = bool(problems)
        if not set(_FIXED) & set(found):
            raise EvidenceError(str(folder), f"no evidence: none of {', '.join(_FIXED)} is there")
        key, trusted = _key(folder, found, public_key, fingerprint, problems)
        listed = (folder / SUMS).read_bytes() if SUMS in found else None
        hashes: Mapping[str, str] = {}
        if listed is None:
            problems.append(Problem(SUMS, "missing: nothing says what the files were"))
        else:
            hashes, wrong = parse(listed)
            problems += wrong
            problems += compare(folder, hashes, found)
            problems += [
                Problem(n, "missing") for n in (PUBLIC_KEY, FACTS, PAGE) if n not in {*hashes, *found}
            ]
        problems += _unsigned(folder, found, key, listed)
        # A link would be followed, and a pipe waited for: what holds one is not judged again.
        again = _Again() if odd else _again(folder, found, key)
    except OSError as error:
        raise EvidenceError(str(error.filename or folder), error.strerror or str(error)) from None
    told = tuple(dict.fromkeys((*problems, *again.problems)))
    print_of = keys.fingerprint(key) if key is not None else None
    return Verification(told, print_of, trusted, len(hashes), again.facts, again.notes)


def _key(
    folder: Path,
    found: list[str],
    given: Ed25519PublicKey | None,
    fingerprint: str | None,
    problems: list[Problem],
) -> tuple[Ed25519PublicKey | None, bool]:
    """The key to check with, and whether the caller vouches for it."""
    own = keys.public_key((folder / PUBLIC_KEY).read_bytes()) if PUBLIC_KEY in found else None
    if PUBLIC_KEY in found and own is None:
        problems.append(Problem(PUBLIC_KEY, "changed: no Ed25519 public key"))
    key = given or own
    if key is None:
        return None, False
    if given is not None and own is not None and keys.fingerprint(given) != keys.fingerprint(own):
        problems.append(Problem(PUBLIC_KEY, f"another key than the one given: {keys.fingerprint(own)}"))
    if fingerprint is not None and not keys.has_fingerprint(key, fingerprint):
        problems.append(
            Problem(PUBLIC_KEY, f"another key than the fingerprint given: {keys.fingerprint(key)}")
        )
        return key, False
    return key, given is not None or fingerprint is not None


def _unsigned(
    folder: Path, found: list[str], key: Ed25519PublicKey | None, listed: bytes | None
) -> Iterator[Problem]:
    """Why the signature does not hold."""
    if SIGNATURE not in found:
        yield Problem(SIGNATURE, "missing: nothing shows who made the list, or that it is whole")
    elif key is None:
        yield Problem(SIGNATURE, "cannot be checked: there is no key")
    elif listed is not None and not keys.is_signed(key, (folder / SIGNATURE).read_bytes(), listed):
        yield Problem(SIGNATURE, f"is no signature of {SUMS} as it is now by the key {keys.fingerprint(key)}")


def _again(folder: Path, found: list[str], key: Ed25519PublicKey | None) -> _Again:
    """The facts once more, from the histories; what differs from evidence.json and the page is a problem."""
    if FACTS not in found:
        return _Again()
    try:
        recorded = json.loads((folder / FACTS).read_bytes())
        facts = assemble(
            folder / RUNS, recorded["targets"], recorded["key"], recorded["masked"], recorded["unfinished"]
        )
        problems, notes = _compared(facts, recorded)
        if PAGE in found and not notes and (folder / PAGE).read_bytes() != page(facts).encode():
            problems.append(Problem(PAGE, "is not the page of what the histories give"))
    except EvidenceError as error:
        what = f"cannot be judged again: {shown(error.what)}"
        return _Again((Problem(_relative(error.file, folder), what),))
    except _ANYTHING as error:
        what = f"cannot be judged again: {type(error).__name__}: {error}"
        return _Again((Problem(FACTS, shown(what)),))
    if key is not None and recorded["key"] != keys.fingerprint(key):
        problems.append(Problem(FACTS, "names another key than the one that its signature was checked with"))
    return _Again(tuple(problems), facts, tuple(notes))


def _compared(facts: Facts, recorded: Facts) -> tuple[list[Problem], list[str]]:
    """Where evidence.json says otherwise; a note where another version's wording could not be compared."""
    notes = []
    if recorded["built_by"] == facts["built_by"]:
        different = list(differences(facts, recorded))
    else:
        different = list(differences(_core(facts), _core(recorded)))
        notes.append(
            f"built by {shown(str(recorded['built_by']))}, read by {facts['built_by']}: verdicts and figures "
            "were computed again, but the page and other wording could not be compared"
        )
    return [Problem(FACTS, f"{path} is not what the histories give") for path in different[:_MOST]], notes


def differences(computed: Any, recorded: Any, path: str = "") -> Iterator[str]:
    """The paths, as `drills[0].verdict`, at which two JSON objects differ."""
    if isinstance(computed, dict) and isinstance(recorded, dict):
        for name in dict.fromkeys([*computed, *recorded]):
            below = f"{path}.{shown(str(name))}".lstrip(".")
            if name not in computed or name not in recorded:
                yield below
            else:
                yield from differences(computed[name], recorded[name], below)
    elif isinstance(computed, list) and isinstance(recorded, list) and len(computed) == len(recorded):
        for n, (one, other) in enumerate(zip(computed, recorded, strict=True)):
            yield from differences(one, other, f"{path}[{n}]")
    elif computed != recorded or isinstance(computed, bool) is not isinstance(recorded, bool):
        yield path or "all of it"


def _core(facts: Facts) -> Facts:
    """The verdicts and figures of these facts, by the trial's path."""
    return {
        "verdict": facts.get("verdict"),
        "drills": {
            str(drill.get("name")): {
                "verdict": drill.get("verdict"),
                "placebo": drill.get("placebo"),
                "trials": {
                    str(trial.get("path")): {
                        **{name: trial.get(name) for name in _CORE},
                        "faults": _only(_CORE_OF_A_FAULT, trial.get("faults")),
                        "steps": _only(_CORE_OF_A_STEP, trial.get("steps")),
                        "targets": _verdicts(trial.get("targets")),
                        "findings": _verdicts(trial.get("findings")),
                    }
                    for trial in drill.get("trials") or ()
                },
            }
            for drill in facts.get("drills") or ()
        },
    }


def _only(names: Iterable[str], found: Any) -> list[list[Any]]:
    return [[each.get(name) for name in names] for each in found or ()]


def _verdicts(findings: Any) -> list[list[Any]]:
    return [[f.get("objective"), f.get("bound"), f.get("verdict")] for f in findings or ()]


def _relative(file: str, folder: Path) -> str:
    path = Path(file)
    return shown(path.relative_to(folder).as_posix() if path.is_relative_to(folder) else file)
