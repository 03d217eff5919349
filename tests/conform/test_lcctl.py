# SPDX-License-Identifier: BSD-3-Clause
"""scripts/lcctl: what it prints, what it refuses, and that its view fits the terminal."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import subprocess

import pytest

from wire import eventually

pytestmark = pytest.mark.lcached_only("has no telemetry socket")

LCCTL = pathlib.Path(__file__).resolve().parents[2] / "scripts/lcctl"
SIZES = [(80, 24), (200, 50), (40, 10), (20, 3)]


def lcctl_load():
    loader = importlib.machinery.SourceFileLoader("lcctl", str(LCCTL))
    made = importlib.util.module_from_spec(importlib.util.spec_from_loader("lcctl", loader))
    loader.exec_module(made)
    return made


@pytest.fixture
def lcctl(server):
    def run(*words, status=0):
        done = subprocess.run(
            [LCCTL, "--pid", str(server.process.pid), *words],
            capture_output=True, timeout=30, text=True, encoding="utf-8",
            env={**os.environ, "LC_ALL": "C.UTF-8"})  # fmt: skip
        assert done.returncode == status, done
        return done.stderr if status else done.stdout

    return run


def test_info_has_every_section(lcctl):
    said = lcctl("info")
    for name in ("lcached_version", "used_memory", "keyspace_hits", "rx_packets", "tcp_rx_segments"):
        assert name in said
    assert "used_memory" not in lcctl("info", "net")


def test_what_a_key_takes(lcctl, tcp):
    tcp.set(b"lcctl", b"x" * 100)
    assert json.loads(lcctl("--json", "usage", "lcctl"))["value"] == 100
    assert lcctl("usage", "nobody", status=1) == "lcctl: no such key\n"


def test_purge_says_what_it_gave_back(lcctl):
    assert re.match(
        r"[\d.]+ .iB resident before, [\d.]+ .iB now: .* given back in [\d.]+ s$", lcctl("purge"))
    state = json.loads(lcctl("--json", "purge"))
    assert state["status"] == "done"
    assert state["after_bytes"] <= state["before_bytes"] + (8 << 20)


@pytest.mark.parametrize("command", ["memory", "doctor", "workers", "upkeep", "latency", "alarms", "shards"])
def test_reports_for_people_and_for_programs(lcctl, command):
    assert lcctl(command).strip()
    assert json.loads(lcctl("--json", command))


def test_every_worker_has_a_line(lcctl, server):
    assert len(lcctl("workers").splitlines()) == 1 + server.workers


def test_an_option_is_changed(lcctl):
    before = json.loads(lcctl("--json", "config", "get", "maxmemory-samples"))
    try:
        assert lcctl("config", "set", "maxmemory-samples", "7") == "ok\n"
        assert lcctl("config", "get", "maxmemory_samples").split() == ["maxmemory-samples", "7"]
    finally:
        lcctl("config", "set", "maxmemory-samples", before["maxmemory-samples"])
    assert len(lcctl("config", "get").splitlines()) > 20


def test_what_is_refused_has_a_reason(lcctl):
    assert "out of range" in lcctl("config", "set", "maxmemory-samples", "0", status=1)
    assert "no option" in lcctl("config", "get", "nothing", status=1)
    assert "does not know" in lcctl("ask", "/lcached/nothing", status=1)
    assert "invalid choice" in lcctl("nothing", status=2)


def test_without_a_file_there_is_nothing_to_rewrite(lcctl):
    assert "-f FILE" in lcctl("config", "rewrite", status=1)


def test_without_a_server():
    for words in (["--pid", "1"], ["--socket", "/nowhere"]):
        done = subprocess.run([LCCTL, *words, "info"], capture_output=True, timeout=30, text=True)
        assert done.returncode == 1 and done.stderr.startswith("lcctl: "), done


@pytest.mark.parametrize("width, height", SIZES)
def test_top_fits_the_terminal(lcctl, width, height):
    size = ["--width", str(width), "--height", str(height)]
    lines = lcctl("top", "--interval", "0.2", "--count", "2", *size).splitlines()
    assert len(lines) <= 2 * height
    assert max(map(len, lines)) <= width
    assert lines[-1].startswith("q: end")


def sample_make(module, at, workers, **info):
    made = object.__new__(module.Sample)
    made.at = at
    figures = "total_commands_processed cmd_get cmd_set total_net_input_bytes total_net_output_bytes"
    figures += " keyspace_hits keyspace_misses connected_clients used_memory used_memory_items"
    figures += " used_memory_index used_memory_connections used_memory_input_buffers keyspace_keys"
    figures += " used_memory_output_buffers used_memory_peak used_memory_rss uptime_in_seconds"
    figures += " evicted_keys expired_keys lazyfreed_objects total_connections_received tx_dropped"
    figures += " steer_dropped udp_dropped net_no_mbuf tcp_no_memory tcp_retransmits"
    made.info = dict.fromkeys(figures.split(), 0)
    made.info |= {"lcached_version": "1", "process_id": 1, "driver": "tap", "workers": workers,
                  "maxmemory": 1 << 30, "maxmemory_policy": "allkeys-lru",
                  "allocator_frag_ratio": "1.00"}  # fmt: skip
    made.info |= info
    worker = "stalled requests requests_remote evicted_keys expired_keys tx_dropped busy_us"
    worker += " connections keys used_memory limit_bytes turns turns_idle"
    made.latency, made.alarms = {}, {"active": 0}
    made.workers = {i: dict.fromkeys(worker.split(), 0) for i in range(workers)}
    return made


def test_rates_are_by_the_time_between_samples():
    module = lcctl_load()
    before = sample_make(module, 10, 1, cmd_get=100, keyspace_hits=50, keyspace_misses=50)
    now = sample_make(module, 12, 1, cmd_get=1100, keyspace_hits=350, keyspace_misses=150)
    r = module.rates(now, before)
    assert r["get"] == 500 and r["hit"] == 75
    assert module.rates(now, now)["hit"] is None  # nothing was asked for
    assert module.rates(before, now)["get"] == 0  # restarted: no rate below nothing


def test_the_busiest_of_many_workers_are_shown_and_stalls_are_alarms():
    module = lcctl_load()
    before, now = sample_make(module, 0, 64), sample_make(module, 1, 64, tx_dropped=5)
    now.workers[63]["busy_us"] = 900_000
    now.workers[7]["stalled"] = 1
    lines = module.frame(now, before, [module.rates(now, before)], 80, 24)
    assert len(lines) <= 24
    assert any(line.startswith("63 ") and "90%" in line for line in lines)
    shown = sum(line[:2].strip().isdigit() for line in lines)
    assert f"and {64 - shown} that are less busy" in "\n".join(lines)
    alarms = next(line for line in lines if line.startswith("alarms"))
    assert "worker 7 stalled" in alarms and "5 dropped/s" in alarms


def percentiles(ns, count=1000):
    return {"count": count} | {f"{p}_ns": ns * (i + 1) for i, p in enumerate(("p50", "p90", "p99", "p999", "max"))}


@pytest.mark.parametrize("width, height", SIZES)
def test_a_view_with_everything_fits(width, height):
    module = lcctl_load()
    before, now = sample_make(module, 0, 64), sample_make(module, 1, 64, tx_dropped=5)
    kinds = ("get", "multiget", "set", "delete", "arith", "touch", "other", "all")
    now.latency = {kind: percentiles(12345) for kind in kinds}
    now.alarms = {name: {"active": 1, "since": 1, "value": 5, "text": "of something"}
                  for name in ("link_down", "tx_dropped", "memory_full")}  # fmt: skip
    history = [module.rates(now, before)] * 300
    lines = module.frame(now, before, history, width, height)
    assert len(lines) <= height and max(map(len, lines)) <= width
    assert lines[-1].startswith("q: end")
    if width >= 80:
        shown = [line.split()[0] for line in lines if " us  " in line]
        assert shown[0] == "all" and len(shown) >= 2
        assert len(shown) == len(kinds) or height < 50
        assert sum(line[:2].strip().isdigit() for line in lines) >= 2
        assert any("link_down since" in line for line in lines)


def test_what_defragmentation_moves_is_shown():
    module = lcctl_load()
    before, now = sample_make(module, 0, 1), sample_make(module, 1, 1, active_defrag_hits=1234)
    history = [module.rates(now, before)]
    assert "moved 1.23 k/s" in "\n".join(module.frame(now, before, history, 80, 24))
    wide = "\n".join(module.frame(now, before, history, 200, 50))
    assert "moved 1.23 k/s" in wide and "freed" in wide


def test_latency_of_an_idle_server_is_not_shown():
    module = lcctl_load()
    now = sample_make(module, 0, 1)
    now.latency = {"get": percentiles(0, 0), "all": percentiles(0, 0)}
    assert not any("latency" in line for line in module.frame(now, now, [module.rates(now, now)], 80, 24))


def test_slow_requests_are_listed_and_forgotten(lcctl, tcp):
    before = json.loads(lcctl("--json", "config", "get", "slowlog-log-slower-than"))
    try:
        lcctl("config", "set", "slowlog-log-slower-than", "0")
        lcctl("latency", "reset")
        tcp.set(b"slow", b"x" * 100)
        assert eventually(lambda: "slow" in lcctl("latency", "slow").split(":", 1)[1])
        lcctl("config", "set", "slowlog-log-slower-than", "-1")
        assert lcctl("latency", "reset") == "ok\n"
        assert lcctl("latency", "slow").startswith("no limit is set")
        assert "set" in lcctl("latency")
    finally:
        lcctl("config", "set", "slowlog-log-slower-than", *before.values())


def test_numbers_keep_three_digits():
    module = lcctl_load()
    assert [module.count(n) for n in (0, 999, 1000, 12345, 5.08e6)] == [
        "0", "999", "1.00 k", "12.3 k", "5.08 M"]  # fmt: skip
    assert module.size(1536) == "1.50 KiB" and module.span(90061) == "1d 01:01:01"
    assert module.spark([0, 1, 8], 4) == "  ▂█"
    assert module.chart([0, 1, 8, 16], 5, 2) == ["    █", "  ▁██"]


def test_text_of_clients_moves_no_cursor():
    assert lcctl_load().printable("a\x1b[2Jb\n") == "a?[2Jb?"
