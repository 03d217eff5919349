# SPDX-License-Identifier: BSD-3-Clause
"""Memory on the telemetry socket: figures that agree with each other, and with the allocator."""

import random

import pytest

from telemetry import Telemetry
from wire import eventually, noise

pytestmark = pytest.mark.lcached_only("has no telemetry socket")

SERVER = """used_memory used_memory_rss used_memory_peak used_memory_peak_perc used_memory_overhead
    used_memory_startup used_memory_dataset used_memory_dataset_perc maxmemory maxmemory_policy
    total_system_memory allocator_allocated allocator_active allocator_resident allocator_retained
    allocator_muzzy allocator_frag_ratio allocator_frag_bytes allocator_rss_ratio
    allocator_rss_bytes rss_overhead_ratio rss_overhead_bytes mem_fragmentation_ratio
    mem_fragmentation_bytes mem_private_dirty mem_internal_frag_bytes mem_not_counted_for_evict
    mem_clients_normal mem_allocator evicted_keys expired_keys expired_stale_perc
    expired_time_cap_reached_count expire_cycle_cpu_milliseconds avg_ttl""".split()


@pytest.fixture
def telemetry(server):
    with Telemetry(server.process.pid) as made:
        yield made


def as_text(name):
    return name.decode() if isinstance(name, bytes) else name


def workers(memory):
    return [value for key, value in memory.items() if key.startswith("worker_")]


def load(tcp, seed, rounds=300):
    """Sets of all sizes, appends and deletes, so that blocks come and go."""
    pick = random.Random(seed)
    for _ in range(rounds):
        key = b"m%d" % pick.randrange(100)
        what = pick.random()
        if what < 0.7:
            tcp.set(key, noise(int(pick.expovariate(1 / 4000))))
        elif what < 0.85:
            tcp.ask(b"append %s 0 0 3\r\nabc\r\n" % key)
        else:
            tcp.ask(b"delete %s\r\n" % key)


def test_every_figure_is_there(telemetry):
    memory = telemetry.ask("/lcached/memory")
    missing = [name for name in SERVER if name not in memory]
    assert not missing
    assert workers(memory)


def test_each_workers_counter_is_the_allocators(telemetry, tcp):
    load(tcp, 1)
    for worker in workers(telemetry.ask("/lcached/memory")):
        assert worker["used_memory"] == worker["used_memory_by_allocator"]


def test_the_parts_add_up(telemetry, tcp):
    load(tcp, 2)
    memory = telemetry.ask("/lcached/memory")
    assert memory["used_memory_overhead"] + memory["used_memory_dataset"] == memory["used_memory"]
    assert memory["used_memory"] <= memory["used_memory_peak"]
    assert memory["used_memory_rss"] > memory["used_memory"]
    for worker in workers(memory):
        if worker["allocator_active"]:   # jemalloc
            assert worker["pages_held"] >= worker["pages_committed"] > 0


def test_stats_memory_has_the_same_names(telemetry, tcp):
    assert set(SERVER) <= {as_text(name) for name in tcp.stats(b"memory")}


def test_usage_of_a_key(telemetry, tcp):
    tcp.set(b"mine", noise(1000))
    usage = telemetry.ask("/lcached/memory/usage,mine")
    assert usage["key"] == 4 and usage["value"] == 1000
    assert usage["usage"] >= usage["allocated"] >= 1000 + 4 + usage["header"]
    assert "error" in telemetry.ask("/lcached/memory/usage,nobody")
    assert "error" in telemetry.ask("/lcached/memory/usage," + "x" * 251)


def test_doctor_bins_and_report_answer(telemetry):
    assert telemetry.ask("/lcached/memory/doctor")
    assert telemetry.ask("/lcached/memory/bins")
    assert len(telemetry.ask("/lcached/memory/malloc_stats")) > 3
    assert "error" in telemetry.ask("/lcached/memory/bins,9999")
    assert "error" in telemetry.ask("/lcached/memory,9999")


def test_all_comes_back_after_a_flush(telemetry, tcp):
    load(tcp, 3)
    telemetry.ask("/lcached/flush")

    def items():
        return telemetry.ask("/lcached/memory")["used_memory_items"]

    assert eventually(lambda: items() == 0, 30), items()


def purge(telemetry):
    telemetry.ask("/lcached/memory/purge")

    def done():
        return telemetry.ask("/lcached/memory/purge,state")["status"] == "done"

    assert eventually(done, 30)
    return telemetry.ask("/lcached/memory/purge,state")


def test_a_purge_tells_bytes_before_and_after(telemetry, tcp):
    state = purge(telemetry)
    assert 0 < state["after_bytes"] <= state["before_bytes"] + (8 << 20)
    assert state["freed_bytes"] == max(0, state["before_bytes"] - state["after_bytes"])
    assert "state" in telemetry.ask("/lcached/memory/purge,now")["error"]


def test_pages_come_back_after_a_flush_by_themselves(telemetry, tcp):
    if telemetry.ask("/lcached/info,memory")["mem_allocator"] == "libc":
        pytest.skip("no pages of ours")
    flushes = purge(telemetry)["after_flushes"]
    empty = telemetry.ask("/lcached/memory/purge,state")["after_bytes"]
    for i in range(900):
        tcp.set(b"page%d" % i, noise(60000))
    assert tcp.get(b"page899") is not None
    full = resident(telemetry)
    assert full > empty + (20 << 20)
    assert tcp.ask(b"flush_all\r\n") == b"OK\r\n"
    assert eventually(lambda: resident(telemetry) < full - (full - empty) / 2, 30), (
        empty, full, resident(telemetry))  # fmt: skip

    def after_flushes():
        return telemetry.ask("/lcached/memory/purge,state")["after_flushes"]

    assert eventually(lambda: after_flushes() > flushes, 30)


def resident(telemetry):
    return telemetry.ask("/lcached/memory")["used_memory_rss"]


@pytest.mark.parametrize("change, wrong", [
    ("maxmemory=900tb", "maxmemory"),
    ("maxmemory=1000gb", "wanted"),
    ("jemalloc-dirty-decay-ms=-2", "milliseconds"),
    ("jemalloc-bg-thread=maybe", "yes or no"),
    ("memory-region=1gb", "start"),
    ("maxmemory=", "is not a size"),
    ("maxmemory=-1gb", "is not a size"),
    ("maxmemory=\"1gb\"", "is not a size"),
    ("maxmemory=1kb", "out of range: 1mb to 1024gb"),
    ("maxmemory=99999999999999999999", "out of range"),
    ("maxmemory=101%", "1% to 100%"),
    ("maxmemory=1mb", "item-size-max"),
    ("maxmemory-clients=5%%", "1% to 100%"),
    ("maxmemory-samples=65", "1 to 64"),
    ("maxmemory-policy=lru", "noeviction"),
    ("maxmemroy=1gb", "maxmemory"),
    ("maxmemory", "NAME=VALUE"),
])
def test_a_bad_change_says_why(telemetry, change, wrong):
    before = telemetry.ask("/lcached/config")
    assert wrong in telemetry.ask("/lcached/config/set," + change)["error"]
    assert telemetry.ask("/lcached/config") == before


def test_decay_changes_while_serving(telemetry):
    assert telemetry.ask("/lcached/config/set,jemalloc-dirty-decay-ms=500")["status"] == "ok"
    assert telemetry.ask("/lcached/config,jemalloc-dirty-decay-ms")[
        "jemalloc_dirty_decay_ms"] == "500"
    assert telemetry.ask("/lcached/config/set,jemalloc-dirty-decay-ms=10000")["status"] == "ok"
