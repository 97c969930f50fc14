"""The sample chat service, one concern a module; `python -m service` serves it."""
