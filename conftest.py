"""Fixtures around the running sample stack, for the drills and for tests against the live service."""

pytest_plugins = ["fixtures.sample"]
