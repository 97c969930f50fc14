"""`python -m service`."""

from .main import main

main()
