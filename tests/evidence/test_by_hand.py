"""What docs/evidence.md tells an auditor to type, typed: coreutils and OpenSSL come to the same as we do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from blackstart.evidence import keys
from tests.evidence.runs import KEY, OTHER_KEY

MANUAL = Path(__file__).parents[2] / "docs" / "evidence.md"

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None or shutil.which("sha256sum") is None, reason="no openssl or sha256sum"
)


def block(name: str) -> str:
    """The manual's shell block of this name."""
    found = re.search(rf"```sh {{name={name}}}\n(.*?)```", MANUAL.read_text(), re.S)
    assert found, name
    return found[1]


def typed(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-euo", "pipefail", "-c", block(name)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_hashes_signature_and_fingerprint_agree(evidence: Path) -> None:
    assert typed("files", evidence).returncode == 0
    signed = typed("signature", evidence)
    assert signed.returncode == 0 and "Verified Successfully" in signed.stdout + signed.stderr
    shown = typed("fingerprint", evidence)
    assert shown.stdout.split()[0] == keys.fingerprint(KEY.public_key())
    assert typed("added", evidence).stdout == ""


def test_a_changed_file_fails(evidence: Path) -> None:
    with (evidence / "evidence.html").open("a") as file:
        file.write(" ")
    found = typed("files", evidence)
    assert found.returncode != 0 and "evidence.html: FAILED" in found.stdout


def test_an_added_file_is_listed(evidence: Path) -> None:
    (evidence / "runs" / "more.txt").write_text("x")
    assert typed("added", evidence).stdout.splitlines() == ["./runs/more.txt"]


def test_a_changed_list_and_another_key_fail(evidence: Path) -> None:
    listed = evidence / "SHA256SUMS"
    whole = listed.read_bytes()
    listed.write_bytes(whole.replace(b"0", b"1", 1))
    assert typed("signature", evidence).returncode != 0
    listed.write_bytes(whole)
    (evidence / "public-key.pem").write_bytes(keys.public_pem(OTHER_KEY.public_key()))
    assert typed("signature", evidence).returncode != 0
