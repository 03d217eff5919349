# SPDX-License-Identifier: BSD-3-Clause
"""Random load over three workers at the limit: used_memory never passes maxmemory by more than an
item a worker, and every worker's counter is what the allocator says, at any moment and to the byte.
LCACHED_SOAK_S is how long it runs; docs/testing.md."""

import os
import random
import threading
import time

import pytest

from server import SLOW
from telemetry import Telemetry
from test_leaks import settled, used_memory
from wire import Tcp, eventually, noise

pytestmark = pytest.mark.lcached_only("has no telemetry socket")

SECONDS = int(os.environ.get("LCACHED_SOAK_S", "10"))
WORKERS = 3
MEMORY = 24 << 20
ITEM_MAX = (1 << 20) + (1 << 19)  # of a value of 1 MiB, in its size class
VALUES = noise(1 << 20)


def request(pick):
    """A request, and whether its answer is one line."""
    key = b"s%d" % int(20000 * pick.random() ** 2)
    what = pick.random()
    if what < 0.45:
        size = min(int(pick.expovariate(1 / 8000)), 1 << 18) if pick.random() < 0.999 else 1_000_000
        ttl = pick.choice((0, 0, 0, 1, 2, 100))
        return b"set %s 0 %d %d\r\n%s\r\n" % (key, ttl, size, VALUES[:size]), True
    if what < 0.50:
        return b"set n%s 0 0 1\r\n1\r\n" % key, True
    if what < 0.55:
        return b"incr n%s %d\r\n" % (key, pick.randrange(10**6)), True
    if what < 0.62:
        return b"append %s 0 0 10\r\n0123456789\r\n" % key, True
    if what < 0.67:
        return b"delete %s\r\n" % key, True
    if what < 0.70:
        return b"touch %s %d\r\n" % (key, pick.randrange(1, 100)), True
    return b"get %s\r\n" % key, False


def load(seed, until, wrong):
    pick = random.Random(seed)
    try:
        while time.monotonic() < until:
            with Tcp(30) as tcp:
                for _ in range(pick.randrange(1, 2000)):
                    data, line = request(pick)
                    tcp.send(data)
                    answer = tcp.line() if line else tcp.values()
                    if line and answer.split(b" ")[0] in (b"ERROR\r\n", b"CLIENT_ERROR") and (
                            not data.startswith(b"incr")):
                        wrong.append((data[:60], answer))
                    if time.monotonic() >= until:
                        break
                if pick.random() < 0.1:
                    tcp.send(b"set half 0 0 50000\r\n" + bytes(100))
                    tcp.reset()
    except Exception as error:  # shown by the test
        wrong.append(error)


def check(memory):
    assert memory["used_memory"] - memory["mem_not_counted_for_evict"] <= MEMORY + WORKERS * ITEM_MAX
    for n in range(WORKERS):
        worker = memory[f"worker_{n}"]
        assert worker["used_memory"] == worker["used_memory_by_allocator"]


@pytest.mark.limit(SECONDS + 60)
def test_random_load_at_the_limit(launch):
    wrong = []
    with launch(workers=WORKERS, memory_mb=MEMORY >> 20) as server:
        start = settled(server)
        until = time.monotonic() + SECONDS
        threads = [threading.Thread(target=load, args=(n, until, wrong)) for n in range(6)]
        for thread in threads:
            thread.start()
        with Telemetry(server.process.pid) as telemetry:
            while time.monotonic() < until:
                check(telemetry.ask("/lcached/memory"))
                time.sleep(0.2)
            for thread in threads:
                thread.join()
            assert not wrong
            memory = telemetry.ask("/lcached/memory")
            check(memory)
            assert SLOW or SECONDS < 10 or memory["evicted_keys"] > 0
        with Tcp() as tcp:
            assert tcp.ask(b"flush_all\r\n") == b"OK\r\n"
        left = eventually(lambda: used_memory(server) <= start + 4096)
        assert left, f"used_memory {used_memory(server)}, at the start {start}"
