# SPDX-License-Identifier: BSD-3-Clause
"""Whoever floods the telemetry socket, with nonsense or with questions, harms nobody."""

import threading
import time

import pytest

from nonsense import ASK, flood
from telemetry import Telemetry, socket_paths
from wire import Tcp, Udp

pytestmark = pytest.mark.lcached_only("has no telemetry socket")
REQUESTS = 10_000
HANDS = 6  # DPDK takes ten connections at a time


@pytest.mark.limit(120)
def test_ten_thousand_requests_harm_nothing(server):
    faults, slowest, served = [], 0, 0
    path = socket_paths(server.process.pid)[0]
    threads = [
        threading.Thread(target=flood, args=(path, seed, REQUESTS // HANDS + 1, faults))
        for seed in range(HANDS)
    ]
    with Tcp() as conn, Udp() as sock:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            began = time.monotonic()
            assert conn.set(b"k%d" % (served % 100), b"x") == b"STORED\r\n"
            assert conn.get(b"k%d" % (served % 100)) == b"x"
            assert sock.ask(b"get k%d\r\n" % (served % 100)).endswith(b"x\r\nEND\r\n")
            slowest = max(slowest, time.monotonic() - began)
            served += 1
        for thread in threads:
            thread.join()
    assert not faults, faults
    assert served > 100 and slowest < 2, (served, slowest)
    with Telemetry(server.process.pid) as telemetry:
        for command in ASK:
            assert telemetry.ask(command) is not None, command


def test_every_command_answers_soon(server, tcp):
    """The best of several: these machines have other things to do."""
    tcp.set(b"k", b"x")
    with Telemetry(server.process.pid) as telemetry:
        for command in ASK:
            took = []
            for _ in range(5):
                began = time.monotonic()
                telemetry.ask(command)
                took.append(time.monotonic() - began)
            assert min(took) < 0.05, (command, took)
