"""The sample search tool: `python -m tool.server` serves it with the standard library alone."""
