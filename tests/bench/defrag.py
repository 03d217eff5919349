# SPDX-License-Identifier: BSD-3-Clause
"""Fragmentation and its end, under load: filled with mixed sizes, three of four deleted at random, refilled
with other sizes. lcached on a TAP in a network namespace, with lcbench's sockets as the load before and
while its memory is defragmented; memcached's slab rebalancer on the same work."""

import contextlib
import hashlib
import json
import os
import random
import socket
import subprocess
import sys
import time

import machine
import peers
import servers
from machine import Trouble

sys.path.append(os.path.join(servers.ROOT, "tests", "conform"))

import server as conform_server  # noqa: E402 (the path comes first)
from netlab import PORT, SERVER_IP, Lab  # noqa: E402
from telemetry import Telemetry  # noqa: E402

LOAD = {"connections": 20, "pipeline": 4, "keys": 20000, "value-size": 100, "preload": "fill", "verify": "all"}
FILL_BYTES, FILL_BYTES_QUICK = 2 << 30, 256 << 20
HUGE_BYTES_QUICK = 768 << 20  # 32 MiB are kept ready beside what is used
FIRST_SIZES, SECOND_SIZES = (40, 1400), (1500, 4000)
REFILL_PART = 16  # of what was filled
BATCH = 512
POLL_S, WITHIN_S, SETTLE_S = 0.5, 60.0, 15.0
RATIO_MOST, THROUGHPUT_LEAST, P999_MOST, HELD_MOST = 1.1, 0.9, 2.0, 1.2
POOL = b"".join(hashlib.sha512(b"%d" % i).digest() for i in range(256))


def value_of(number, size):
    at = number * 37 % (len(POOL) - size)
    return POOL[at : at + size]


class Client:
    """memcached's protocol in pipelined batches. `sizes`: what must be there."""

    def __init__(self, sock, seed=1):
        self.sock, self.rng, self.sizes = sock, random.Random(seed), {}
        self.file = sock.makefile("rb", 1 << 20)
        self.next = 0

    def batch(self, requests, replies):
        self.sock.sendall(b"".join(requests))
        for _ in range(replies):
            yield self.file.readline()

    def fill(self, goal_bytes, sizes):
        while goal_bytes > 0:
            requests = []
            for _ in range(BATCH):
                size = self.rng.randint(*sizes)
                value = value_of(self.next, size)
                requests.append(b"set n%d 0 0 %d\r\n%b\r\n" % (self.next, size, value))
                self.sizes[self.next] = size
                self.next += 1
                goal_bytes -= size
            if any(line != b"STORED\r\n" for line in self.batch(requests, BATCH)):
                raise Trouble("a set was refused")

    def thin(self):
        gone = [number for number in self.sizes if self.rng.random() < 0.75]
        for first in range(0, len(gone), BATCH):
            some = gone[first : first + BATCH]
            for line in self.batch([b"delete n%d\r\n" % n for n in some], len(some)):
                if line != b"DELETED\r\n":
                    raise Trouble(f"a delete answers {line!r}")
            for number in some:
                del self.sizes[number]

    def work(self, fill_bytes):
        self.fill(fill_bytes, FIRST_SIZES)
        self.thin()
        self.fill(fill_bytes // REFILL_PART, SECOND_SIZES)

    def verify(self):
        """How many values are missing or wrong."""
        wrong, numbers = 0, list(self.sizes)
        for first in range(0, len(numbers), BATCH):
            some = numbers[first : first + BATCH]
            self.sock.sendall(b"".join(b"get n%d\r\n" % n for n in some))
            for number in some:
                size, head = self.sizes[number], self.file.readline()
                if head == b"END\r\n":
                    wrong += 1
                    continue
                body = self.file.read(size + 7)
                wrong += body != value_of(number, size) + b"\r\nEND\r\n"
        return wrong


def load_start(lab, seconds):
    words = [word for name, value in LOAD.items() for word in (f"--{name}", str(value))]
    where = ["--sockets", "--server", SERVER_IP, "--port", str(PORT)]
    more = ["--seconds", str(seconds), "--warmup", "1", "--core", str(machine.GENERATOR_CORE), "--json", "-"]
    with lab.client.inside():
        return subprocess.Popen(
            [servers.LCBENCH, *where, *words, *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )


def load_end(process):
    text = process.communicate(timeout=120)[0]
    if process.returncode:
        raise Trouble("lcbench failed")
    result = json.loads(text)
    if result["errors"] or result["misses"]:
        raise Trouble(f"lcbench: {result['errors']} errors, {result['misses']} misses")
    return result


def memory_of(telemetry):
    m = telemetry.ask("/lcached/memory")
    worker = m["worker_0"]
    return {
        "ratio": float(m["allocator_frag_ratio"]),
        "allocated": worker["allocator_allocated"],
        "held": worker["pages_held"],
        "running": m["active_defrag_running"],
        "hits": m["active_defrag_hits"],
        "passes": m["active_defrag_passes"],
    }


def lcached_run(fill_bytes, seconds, huge):
    """Figures before, at the end, and the two loads'."""
    options = ["--active-defrag-ignore-bytes", "1mb"]
    region_bytes = fill_bytes + fill_bytes // 2
    if huge:
        options += ["--memory-region", str(region_bytes), "--active-defrag-threshold-lower", "2"]
    memory_mb = (fill_bytes >> 20) + (fill_bytes >> 22)
    with machine.hugepages(region_bytes) if huge else contextlib.nullcontext():
        return lcached_started(options, memory_mb, fill_bytes, seconds, huge)


def lcached_started(options, memory_mb, fill_bytes, seconds, huge):
    lab = Lab("lcached")
    try:
        made = conform_server.Server(lab, options=options, memory_mb=memory_mb)
        made.start()
        os.sched_setaffinity(made.process.pid, {machine.SERVER_CORE})
        try:
            out = lcached_measured(lab, made.process.pid, fill_bytes, seconds, huge)
            made.stop(seconds=30)
            return out
        finally:
            made.kill()
    finally:
        lab.delete()


def lcached_measured(lab, pid, fill_bytes, seconds, huge):
    with lab.client.inside():
        client = Client(socket.create_connection((SERVER_IP, PORT)))
        client.work(fill_bytes)
    time.sleep(2)
    with Telemetry(pid) as telemetry:
        before = memory_of(telemetry)
        load = load_start(lab, seconds)
        while load.poll() is None:  # as below: each answer takes time
            memory_of(telemetry)
            time.sleep(POLL_S)
        quiet = load_end(load)
        load = load_start(lab, seconds)
        began, took = time.monotonic(), None
        telemetry.ask("/lcached/config/set,activedefrag=yes")
        while time.monotonic() - began < WITHIN_S + (SETTLE_S if huge else 0):
            now = memory_of(telemetry)
            there = now["held"] <= HELD_MOST * now["allocated"] if huge else now["ratio"] <= RATIO_MOST
            if there and took is None:
                took = time.monotonic() - began
            if took is not None and load.poll() is not None:
                break
            time.sleep(POLL_S)
        busy = load_end(load)
        after = memory_of(telemetry)
        upkeep = telemetry.ask("/lcached/upkeep,0")
    wrong = client.verify()
    slices = {name: upkeep[name] for name in ("defrag_done_us", "defrag_slice_p99_ns", "defrag_slice_max_ns")}
    found = {"before": before, "after": after, "took_s": took, "wrong": wrong, "items": len(client.sizes)}
    return found | slices | {
        "quiet": {name: quiet[name] for name in ("requests_per_s", "p999_us")},
        "busy": {name: busy[name] for name in ("requests_per_s", "p999_us")},
    }


def memcached_waste(client):
    """Bytes of its pages for each byte of the values that were stored and not deleted."""
    client.sock.sendall(b"stats slabs\r\n")
    total = 0
    while (line := client.file.readline()) != b"END\r\n":
        name, value = line.split()[1:3]
        total = int(value) if name == b"total_malloced" else total
    return total / sum(client.sizes.values())


def memcached_run(fill_bytes, seconds, scratch):
    memory_mb = (fill_bytes >> 20) + (fill_bytes >> 22)
    options = ("-o", "slab_reassign,slab_automove=1")
    with peers.opened(peers.Memcached, scratch, memory_mb, *options) as peer:
        client = Client(peer.socket)
        client.work(fill_bytes)
        before = memcached_waste(client)
        time.sleep(2 * seconds)
        return {"before": before, "after": memcached_waste(client), "wrong": client.verify()}


def row_make(name, case, value, unit, target, holds, peer_value, detail):
    return {
        "name": name,
        "case": case,
        "value": value,
        "unit": unit,
        "peer": "memcached",
        "peer_value": peer_value,
        "target": target,
        "holds": holds,
        "detail": detail,
    }


def print_lines(name, ours, theirs):
    before, after = ours["before"], ours["after"]
    took = "not reached" if ours["took_s"] is None else f"{ours['took_s']:.1f} s"
    print(f"{name}: {ours['items']:,} items, {ours['wrong']} wrong, {after['hits']:,} blocks moved, {took}")
    print(
        f"  {ours['defrag_done_us'] / 1e6:.2f} s of the worker's time, {after['passes']} passes, slices "
        f"p99 {ours['defrag_slice_p99_ns'] / 1000:.0f} us, longest {ours['defrag_slice_max_ns'] / 1000:.0f} us"
    )
    print(f"  fragmentation {before['ratio']:.2f} to {after['ratio']:.2f}")
    for what in ("before", "after"):
        m = ours[what]
        print(
            f"  pages {what}: {m['held'] >> 20} MiB held for {m['allocated'] >> 20} MiB, "
            f"{m['held'] / m['allocated']:.2f}"
        )
    for what in ("quiet", "busy"):
        r = ours[what]
        print(f"  {what:<6} {r['requests_per_s']:10,.0f} requests/s, p99.9 {r['p999_us']:8.1f} us")
    print(f"  memcached's pages a byte of values: {theirs['before']:.2f} to {theirs['after']:.2f}")


def scenario(name, args, scratch, huge):
    quick_bytes = HUGE_BYTES_QUICK if huge else FILL_BYTES_QUICK
    fill_bytes = quick_bytes if args.quick else FILL_BYTES
    seconds = 8 if args.quick else 25
    servers.build()
    peers.installed_ensure()
    ours = lcached_run(fill_bytes, seconds, huge)
    theirs = memcached_run(fill_bytes, 5, scratch)
    print_lines(name, ours, theirs)
    rate = ours["busy"]["requests_per_s"] / ours["quiet"]["requests_per_s"]
    p999 = ours["busy"]["p999_us"] / ours["quiet"]["p999_us"]
    held = ours["after"]["held"] / ours["after"]["allocated"]
    within = ours["took_s"] is not None and ours["took_s"] <= WITHIN_S
    rows = [row_make(name, "values", ours["wrong"], "wrong", 0, ours["wrong"] == 0, theirs["wrong"], ours)]
    if huge:
        rows.append(row_make(name, "held", held, "of live", HELD_MOST, held <= HELD_MOST, theirs["after"], ours))
        return rows
    done = ours["before"]["ratio"] >= 1.5 and within
    ratio = ours["after"]["ratio"]
    rows.append(row_make(name, "ratio", ratio, "", RATIO_MOST, done, theirs["after"], ours))
    rows.append(row_make(name, "throughput", rate, "of quiet", THROUGHPUT_LEAST, rate >= THROUGHPUT_LEAST, 0, ours))
    rows.append(row_make(name, "p99.9", p999, "of quiet", P999_MOST, p999 <= P999_MOST, 0, ours))
    return rows


def run(args, scratch):
    return scenario("defrag", args, scratch, False)


def run_hugepages(args, scratch):
    return scenario("defrag-hugepages", args, scratch, True)
