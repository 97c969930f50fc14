"""Runs inside a container of the small stack, next to a client there: Python's own library only.

watch HOST PORT EVERY_MS LIMIT_MS   a new connection and a PING every so often, until stdin ends; prints
                                    `begin end outcome` for each, ns of the monotonic clock, and outcome
                                    ok, error or late
compare COUNT HOST PORT HOST PORT   a PING in turn on a connection to each, COUNT times; prints the ns
                                    that each took, two on a line
"""

import asyncio
import socket
import sys
import time


async def watch(host: str, port: str, every_ms: str, limit_ms: str) -> None:
    """One look every `every_ms`, whatever became of those before."""
    place = socket.gethostbyname(host), int(port)
    every, limit = float(every_ms) / 1000, float(limit_ms) / 1000
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.read)
    looks = set()
    due = loop.time()
    while not ended.done():
        # What is overdue is left out: to catch up would only make a busy machine busier.
        due = max(due + every, loop.time())
        await asyncio.sleep(due - loop.time())
        task = loop.create_task(look(loop, place, limit))
        looks.add(task)
        task.add_done_callback(looks.discard)


async def look(loop: asyncio.AbstractEventLoop, place: tuple[str, int], limit: float) -> None:
    """One PING on a connection of its own."""
    begin, outcome = time.monotonic_ns(), "error"
    with socket.socket() as connection:
        connection.setblocking(False)
        try:
            async with asyncio.timeout(limit):
                await loop.sock_connect(connection, place)
                await loop.sock_sendall(connection, b"PING\r\n")
                if await loop.sock_recv(connection, 64) == b"+PONG\r\n":
                    outcome = "ok"
        except TimeoutError:
            outcome = "late"
        except OSError:
            pass
        end = time.monotonic_ns()
    print(begin, end, outcome)


def compare(count: str, *places: str) -> None:
    """In turn, so that whatever else the machine does disturbs both alike."""
    connections = []
    for host, port in zip(places[::2], places[1::2], strict=True):
        connection = socket.create_connection((host, int(port)), timeout=5)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections.append(connection)
    for _ in range(int(count)):
        took = []
        for connection in connections:
            begin = time.monotonic_ns()
            connection.sendall(b"PING\r\n")
            if connection.recv(64) != b"+PONG\r\n":
                sys.exit("no PONG")
            took.append(time.monotonic_ns() - begin)
        print(*took)


if __name__ == "__main__":
    word, *rest = sys.argv[1:]
    if word == "watch":
        asyncio.run(watch(*rest))
    else:
        compare(*rest)
