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
    faults, took = [], []
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
            key = b"k%d" % (len(took) % 100)
            assert conn.set(key, b"x") == b"STORED\r\n"
            assert conn.get(key) == b"x"
            assert sock.ask(b"get %s\r\n" % key).endswith(b"x\r\nEND\r\n")
            took.append(time.monotonic() - began)
        for thread in threads:
            thread.join()
    assert not faults, faults
    # but for two, which the machine itself may have held up
    assert len(took) > 100 and sorted(took)[-3] < 1, (len(took), sorted(took)[-5:])
    with Telemetry(server.process.pid) as telemetry:
        for command in ASK:
            assert telemetry.ask(command) is not None, command


def test_every_command_answers_soon(server, tcp):
    """The best of many: these machines have other things to do."""
    tcp.set(b"k", b"x")
    with Telemetry(server.process.pid) as telemetry:
        for command in ASK:
            took = []
            while len(took) < 5 or min(took) >= 0.05 and len(took) < 50:
                began = time.monotonic()
                telemetry.ask(command)
                took.append(time.monotonic() - began)
            assert min(took) < 0.05, (command, took)
