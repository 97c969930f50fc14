"""Secrets never reach what people read."""

from __future__ import annotations

import base64
import html
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackstart.report.redact import MASK, redact, redact_deep

SECRET = 'p&ss "w<rd" für/immer+1'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        html.escape(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_masked_in_every_form_in_which_it_travels(form: str) -> None:
    assert redact(f"before {form} after", [SECRET]).startswith(f"before {MASK}")


@given(st.text(min_size=8), st.text(), st.text())
def test_no_secret_of_eight_characters_survives(secret: str, before: str, after: str) -> None:
    if len(secret.strip()) >= 8 and secret.strip() not in MASK:
        assert secret.strip() not in redact(f"{before}{secret}{after}", [secret]).replace(MASK, "\0")


def test_a_short_secret_is_masked_as_a_word_only() -> None:
    assert redact("app applies to app:app@pg", ["app"]) == f"{MASK} applies to {MASK}:{MASK}@pg"


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("postgresql://app:s3cr3t@pg-1:5432/app", "s3cr3t"),
        ("redis://:s3cr3t@redis-1", "s3cr3t"),
        ("Authorization: Bearer eyJhbGciOi.eyJzdWIiOiJ4.c2ln", "eyJzdWIiOiJ4"),
        ("OPENAI_API_KEY=abc123def", "abc123def"),
        ('{"password": "s3cr3t", "user": "app"}', "s3cr3t"),
        ("key sk-abcdefghijklmnop", "sk-abcdefghijklmnop"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", "MIIE"),
    ],
)
def test_what_looks_like_a_secret_is_masked_unasked(text: str, gone: str) -> None:
    assert gone not in redact(text)
    assert MASK in redact(text)


@pytest.mark.parametrize(
    "text", ["lost 3 of 400 writes", "http://app-1:8000/health", "the password is wrong"]
)
def test_plain_text_stays(text: str) -> None:
    assert redact(text) == text


def test_nested_data_is_masked_by_key_and_by_value() -> None:
    data: dict[str, Any] = {
        "app": {"jwt_secret": "x", "url": "postgres://a:hush@b/c", "secret_count": 3},
        "list": ["tell-nobody!", 1, None],
    }
    assert redact_deep(data, ["tell-nobody!"]) == {
        "app": {"jwt_secret": MASK, "url": f"postgres://a:{MASK}@b/c", "secret_count": 3},
        "list": [MASK, 1, None],
    }
