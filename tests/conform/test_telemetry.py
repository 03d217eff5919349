# SPDX-License-Identifier: BSD-3-Clause
"""The operator's side: commands on DPDK's telemetry socket."""

import os
import shutil
import subprocess
import threading

import pytest

from telemetry import Telemetry
from wire import Tcp, Udp, eventually, noise

pytestmark = pytest.mark.lcached_only("has no telemetry socket")


@pytest.fixture
def telemetry(server):
    with Telemetry(server.process.pid) as made:
        yield made


def flat(answer):
    """One dictionary of all numbers and texts, whatever sections they stand in."""
    found = {}
    for key, value in answer.items():
        found.update(flat(value) if isinstance(value, dict) else {key: value})
    return found


def test_commands_are_listed(telemetry):
    listed = telemetry.ask("/")
    for command in ("info", "memory", "workers", "config"):
        assert f"/lcached/{command}" in listed


def test_info(telemetry, tcp):
    tcp.set(b"k", b"x")
    info = flat(telemetry.ask("/lcached/info"))
    for key in ("evicted_keys", "expired_keys", "keyspace_hits", "keyspace_misses"):
        assert int(info[key]) >= 0, key


def test_info_counts(telemetry, tcp):
    def hits():
        return int(flat(telemetry.ask("/lcached/info"))["keyspace_hits"])

    tcp.set(b"k", b"x")
    before = hits()
    for _ in range(100):
        tcp.get(b"k")
    assert eventually(lambda: hits() == before + 100, 30), hits() - before


def test_memory_follows_what_is_stored(telemetry, tcp):
    def used():
        return int(flat(telemetry.ask("/lcached/memory"))["used_memory"])

    before = used()
    for i in range(100):
        assert tcp.set(b"k%d" % i, noise(100 << 10)) == b"STORED\r\n"
    assert eventually(lambda: used() - before >= 100 * (100 << 10), 30)
    assert used() - before < 100 * (100 << 10) * 1.5
    memory = flat(telemetry.ask("/lcached/memory"))
    assert int(memory["used_memory_peak"]) >= int(memory["used_memory"])


def test_workers(telemetry, server):
    workers = telemetry.ask("/lcached/workers")
    assert isinstance(workers, dict)
    text = str(workers)
    assert all(str(n) in text for n in range(server.workers))


def test_upkeep_says_what_took_how_long(telemetry, tcp):
    for i in range(100):
        tcp.set(b"k%d" % i, b"x" * 100)
    upkeep = telemetry.ask("/lcached/upkeep,0")
    assert upkeep["turns"] > 0
    works = ("free", "expire", "evict", "index", "defrag")
    assert upkeep["slice_us"] == 50
    assert 0 <= upkeep["idle_of_1000"] <= 1000
    for work in works:
        least = 0 if work == "defrag" else 1  # it is off
        assert least <= upkeep[f"{work}_asked_us_a_ms"] <= 1000
        assert upkeep[f"{work}_pending"] in (0, 1)
        assert upkeep[f"{work}_done_us"] >= 0
        assert upkeep[f"{work}_slice_max_units"] <= 4096
    slices = [f"{work}_slice" for work in works] + ["purge_slice", "return_slice", "ready_slice"]
    for what in ["turn"] + slices:
        assert f"{what}s" in upkeep
        unit = "us" if what == "turn" else "ns"
        assert 0 <= upkeep[f"{what}s_held"] <= upkeep[f"{what}s"]
        assert upkeep[f"{what}_p50_{unit}"] <= upkeep[f"{what}_max_{unit}"]
    assert upkeep.keys() == telemetry.ask("/lcached/upkeep")["worker_0"].keys()
    assert "error" in telemetry.ask("/lcached/upkeep,999")


def test_no_thread_but_ours_and_dpdks(server):
    """Threads of the allocator's own would be woken by the workers for each slab that they free."""
    names = []
    for task in os.listdir(f"/proc/{server.process.pid}/task"):
        with open(f"/proc/{server.process.pid}/task/{task}/comm") as f:
            names.append(f.read())
    assert names and not any("jemalloc" in name for name in names)


def test_config(telemetry, server):
    answer = flat(telemetry.ask("/lcached/config,maxmemory"))
    assert int(answer["maxmemory"]) == server.memory_mb << 20


def test_unknown_setting_is_an_error_not_the_end(telemetry):
    telemetry.sock.send(b"/lcached/config,no-such-setting")
    assert telemetry.sock.recv(65536)
    telemetry.sock.send(b"/lcached/config")
    assert telemetry.sock.recv(65536)
    assert telemetry.ask("/lcached/info")


def test_odd_commands(telemetry):
    """Long, empty and unknown ones get an answer; the socket stays usable."""
    for command in (b"/lcached/none", b"/lcached/worker,999", b"/lcached/config," + b"x" * 900):
        telemetry.sock.send(command)
        assert telemetry.sock.recv(65536)
    assert telemetry.ask("/lcached/info")


def test_dpdks_own_client_works(server):
    tool = shutil.which("dpdk-telemetry.py") or shutil.which("dpdk-telemetry")
    if tool is None:
        pytest.skip("no dpdk-telemetry.py here")
    with Telemetry(server.process.pid) as own:
        folder = own.sock.getpeername().split("/")
    if folder[-1] != "dpdk_telemetry.v2":
        pytest.skip("another process has the socket's plain name")
    done = subprocess.run(
        [tool, "-f", folder[-2]], input="/lcached/info\nquit\n", text=True, capture_output=True
    )
    assert "used_memory" in done.stdout, done.stdout + done.stderr


def test_questions_while_clients_are_served(telemetry, server):
    """Four operators ask in a loop; a client on each transport is answered all the while."""
    stop = threading.Event()
    faults = []

    def operator():
        try:
            with Telemetry(server.process.pid) as own:
                while not stop.is_set():
                    for command in ("/lcached/info", "/lcached/memory", "/lcached/workers"):
                        own.ask(command)
        except Exception as fault:  # shown by the assertion below
            faults.append(fault)

    threads = [threading.Thread(target=operator) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        with Tcp() as conn, Udp() as sock:
            for i in range(500):
                assert conn.set(b"k%d" % i, b"x") == b"STORED\r\n"
                assert sock.ask(b"mn\r\n") == b"MN\r\n"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not faults, faults
