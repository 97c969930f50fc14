"""Restores a Postgres cluster from the repository, on the hosts of the image: what people run, and Patroni.

It runs inside the containers, as `python3 -m restoring COMMAND`, on what the image has: it imports nothing
of the rest of the project.
"""
