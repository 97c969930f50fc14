"""`blackstart evidence`: a run's dated and signed folder for auditors, and the check that it is intact."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from blackstart.cli.main import NO_VERDICT
from blackstart.cli.measure_cmd import VerdictCommand, WrongUsage
from blackstart.evidence import keys
from blackstart.evidence.build import build
from blackstart.evidence.facts import parse_targets
from blackstart.evidence.verify import Verification, verify
from blackstart.model.errors import BlackstartError, ConfigError

#: The folder is not as it was signed, or says what its histories do not.
TAMPERED = 1
#: Nothing is wrong that could be looked at, but the page is of another version.
NOT_COMPARED = 2
KEYGEN = "keygen"

_PATH = click.Path(path_type=Path)
_UNTRUSTED = """\
WARNING: the signature was checked with the key that lies in the folder itself.
WARNING: whoever changes a folder can sign it anew with a key of their own, and this check would pass.
WARNING: get the fingerprint, or the public key, from the signer by another way, and check with
WARNING: --fingerprint TEXT or --public-key FILE."""


@click.command(name="evidence", cls=VerdictCommand, short_help="Make a run's signed evidence, or verify it.")
@click.argument("what", nargs=-1, metavar="[RUN_DIR | keygen FILE]")
@click.option("--out", type=_PATH, help="Where the folder is made (default: here).")
@click.option("--key", "key_file", type=_PATH, help="Private key that signs (default: your own, made once).")
@click.option("--targets", metavar="TEXT", help="Targets of the whole run: rto=60s,rpo=30s.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    envvar="BLACKSTART_SECRETS",
    help="A text to mask wherever it occurs; may be repeated. BLACKSTART_SECRETS: several, split at spaces.",
)
@click.option("--verify", "folder", metavar="DIR", type=_PATH, help="Check the evidence in DIR instead.")
@click.option("--public-key", "public_file", type=_PATH, help="With --verify: the signer's public key.")
@click.option("--fingerprint", metavar="TEXT", help="With --verify: the fingerprint of the signer's key.")
def evidence_command(
    what: tuple[str, ...],
    out: Path | None,
    key_file: Path | None,
    targets: str | None,
    secrets: tuple[str, ...],
    folder: Path | None,
    public_file: Path | None,
    fingerprint: str | None,
) -> None:
    """Make `evidence-<date>-<run id>` from the run in RUN_DIR: a page to print, the files, a signature.

    \b
    blackstart evidence reports/latest               make it, signed with your own key
    blackstart evidence keygen FILE                  make a key of its own to sign with (--key FILE)
    blackstart evidence --verify DIR --fingerprint … check it

    Every figure is computed again from the histories; a run.json that says otherwise is refused. Verifying
    computes hashes, signature and verdicts once more. Exit status: 0 made or intact, 1 tampered with, 2 if
    the page is of another version and could not be compared, 3 if none of these can be said.
    """
    making = out is not None or key_file is not None or targets is not None
    checking = public_file is not None or fingerprint is not None
    keygen = len(what) == 2 and what[0] == KEYGEN
    if folder is not None:
        if what or making:
            raise WrongUsage("--verify takes no RUN_DIR, --out, --key or --targets")
        _run(lambda: _verify(folder, public_file, fingerprint))
    elif checking:
        raise WrongUsage("--public-key and --fingerprint go with --verify")
    elif keygen and not making:
        _run(lambda: _keygen(Path(what[1])))
    elif len(what) == 1 and what[0] != KEYGEN:
        _run(lambda: _build(Path(what[0]), out or Path(), key_file, targets, secrets))
    else:
        raise WrongUsage("give RUN_DIR (reports/latest), or keygen FILE, or --verify DIR")


def _run(step: Callable[[], int]) -> NoReturn:
    """Exit by what `step` returns; a crash of ours must not exit as 1, which says tampered."""
    try:
        code = step()
    except BlackstartError as error:
        click.echo(str(error), err=True)
        code = NO_VERDICT
    except Exception as error:  # noqa: BLE001 - see above
        click.echo(f"no evidence: {type(error).__name__}: {error}", err=True)
        code = NO_VERDICT
    sys.exit(code)


def _build(run: Path, out: Path, key_file: Path | None, targets: str | None, secrets: tuple[str, ...]) -> int:
    bounds = parse_targets(targets) if targets is not None else {}
    if not run.is_dir():
        raise ConfigError(f"{run}: no such folder; give a run's, as reports/latest")
    path = key_file or keys.default_key()
    if key_file is None and not path.exists():
        key = keys.generate(path)
        click.echo(f"your key was made: {path}; keep it to yourself, and give its fingerprint to auditors")
    else:
        key = keys.load(path)
    made = build(run, out, key, bounds, secrets)
    click.echo(f"evidence: {made.folder}")
    click.echo(f"verdict: {made.facts['verdict']}: {made.facts['sentence']}")
    click.echo(f"signed by the key {made.facts['key']}")
    return 0


def _keygen(path: Path) -> int:
    key = keys.generate(path)
    click.echo(f"private key: {path} (keep it to yourself)")
    click.echo(f"public key: {keys.public_file(path)}")
    click.echo(f"fingerprint: {keys.fingerprint(key.public_key())}")
    return 0


def _verify(folder: Path, public_file: Path | None, fingerprint: str | None) -> int:
    public = keys.load_public(public_file) if public_file is not None else None
    found = verify(folder, public, fingerprint)
    if found.intact:
        _tell_intact(found)
        return 0 if found.compared else NOT_COMPARED
    for problem in found.problems:
        click.echo(str(problem))
    click.echo(
        f"TAMPERED WITH: {folder} is not as it was signed, or says what its histories do not", err=True
    )
    return TAMPERED


def _tell_intact(found: Verification) -> None:
    trials = sum(len(drill["trials"]) for drill in found.facts["drills"])
    click.echo(
        f"{'intact' if found.compared else 'PAGE NOT COMPARED'}: {found.files} files are as signed; {trials} "
        "trials judged again, with the same verdicts"
    )
    click.echo(f"verdict: {found.facts['verdict']}: {found.facts['sentence']}")
    click.echo(f"key: {found.fingerprint} ({'as given' if found.trusted else 'the one in the folder'})")
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    if not found.trusted:
        click.echo(_UNTRUSTED, err=True)
