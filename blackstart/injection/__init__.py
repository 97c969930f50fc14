"""Faults in force: journal, lock, injector, watchdog, heal."""
