# SPDX-License-Identifier: BSD-3-Clause
"""Nothing is left over: neither items, connections nor packets. (That all packets are back at the
end, `mbufs missing 0`, is checked whenever a server stops: server.py.)"""

import pytest

from server import SLOW
from telemetry import Telemetry
from wire import Tcp, Udp, eventually, noise

pytestmark = pytest.mark.lcached_only("its flush_all frees nothing at once")


def used_memory(server):
    with Telemetry(server.process.pid) as telemetry:
        return int(telemetry.ask("/lcached/memory")["used_memory"])


def settled(server):
    """used_memory once nobody is connected and it has stopped moving: reports are a tick old."""
    last = [None]

    def same_as_before():
        with Telemetry(server.process.pid) as telemetry:
            if telemetry.ask("/lcached/info,stats")["connected_clients"]:
                return False
        before, last[0] = last[0], used_memory(server)
        return before == last[0]

    assert eventually(same_as_before, step=0.3)
    return last[0]


def work(value_sizes, conns=20):
    """Sets, gets, replacements, deletions, half requests and UDP; every connection is closed."""
    open_conns = [Tcp(30) for _ in range(conns)]
    for n, size in enumerate(value_sizes):
        conn = open_conns[n % conns]
        assert conn.set(b"k%d" % n, noise(size, n)) == b"STORED\r\n"
        assert len(conn.get(b"k%d" % n)) == size
    for n, conn in enumerate(open_conns):
        conn.send(b"get k%d\r\n" % n * 50)
        if n % 3 == 0:
            conn.send(b"set half 0 0 50000\r\n" + bytes(100))
        if n % 5 == 0:
            conn.reset()
        else:
            conn.close()
    with Udp() as sock:
        for n in range(50):
            sock.send(b"get k%d\r\n" % n)


@pytest.mark.parametrize("workers", (1, 3))
def test_used_memory_returns_after_flush_all(launch, workers):
    rounds = 2 if SLOW else 5
    sizes = [0, 1, 100, 1 << 10, 14336, 20000, 100 << 10, (1 << 20) - 64] * 12
    with launch(workers=workers) as server:
        start = settled(server)
        for _ in range(rounds):
            work(sizes)
            with Tcp() as conn:
                assert conn.ask(b"flush_all\r\n") == b"OK\r\n"
            back = eventually(lambda: used_memory(server) == start)
            assert back, f"used_memory {used_memory(server)}, at the start {start}"


@pytest.mark.parametrize("workers", (1, 3))
def test_idle_connections_cost_and_give_back(launch, workers):
    with launch(workers=workers) as server:
        start = settled(server)
        conns = [Tcp() for _ in range(300)]
        for conn in conns:
            assert conn.ask(b"mn\r\n") == b"MN\r\n"
        for conn in conns:
            conn.close()
        back = eventually(lambda: used_memory(server) == start)
        assert back, f"used_memory {used_memory(server)}, at the start {start}"


def test_expired_and_deleted_items_are_given_back(launch):
    with launch() as server:
        start = settled(server)
        with Tcp() as conn:
            for n in range(200):
                conn.set(b"short%d" % n, noise(5000), exptime=1)
                conn.set(b"gone%d" % n, noise(5000))
            for n in range(200):
                assert conn.ask(b"delete gone%d\r\n" % n) == b"DELETED\r\n"
            eventually(lambda: False, 2.2)
            for n in range(200):
                assert conn.get(b"short%d" % n) is None
        back = eventually(lambda: used_memory(server) == start)
        assert back, f"used_memory {used_memory(server)}, at the start {start}"


def test_a_full_cache_evicts_and_stays_within_its_limit(launch):
    """512 MiB of values through 64 MiB of memory, or a quarter of that."""
    with launch(memory_mb=64, workers=3) as server:
        value = noise(64 << 10)
        rounds = 2048 if SLOW else 8192
        with Tcp(30) as conn:
            for first in range(0, rounds, 64):
                conn.send_aside(
                    b"".join(
                        b"set k%d 0 0 %d\r\n%s\r\n" % (n, len(value), value)
                        for n in range(first, first + 64)
                    )
                )
                assert conn.read(64 * 8) == b"STORED\r\n" * 64
                if first % 1024 == 0:
                    assert used_memory(server) <= 64 << 20
            assert conn.get(b"k%d" % (rounds - 1)) == value
            assert int(conn.stats()["evictions"]) > rounds // 3
