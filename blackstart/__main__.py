"""`python -m blackstart` is `blackstart`."""

from blackstart.cli.main import main

main()
