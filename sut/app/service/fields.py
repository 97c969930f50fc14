"""What the texts of a request may hold."""

from __future__ import annotations

# Postgres stores no NUL: refused here, it costs no connection. Names hold no control characters at all.
NAME = r"^[^\x00-\x1f\x7f]*$"
TEXT = r"^[^\x00]*$"
