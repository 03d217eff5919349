# SPDX-License-Identifier: BSD-3-Clause
"""A snapshot under load, and a restore: lcached whole, over virtio-user; redis' BGSAVE of the same items
beside it. The worker has core 1; the control core and the writer share core 0 with the generator, which
pays for them. A run of lcbench: a quiet segment, one while the snapshot is written, a quiet one. Of three
runs the throughput in the middle counts; all are printed.

No slice is to keep the worker longer than 100 us, but the machine stops any thread now and then. How often
it does that is counted in the quiet segments of the same runs, a second of the worker's busy time: turns of
100 us or more, or times that the kernel switched its thread off, whichever are fewer. Slices run for a known
time in all; so many of them may be held as that rate makes of it, and three standard deviations more. What is
beyond that is ours. What the longest one did is printed beside it: its units have a bound, which the unit
tests hold.

While the server restores, the generator is stopped: it would poll on the core of the thread that reads."""

import math
import os
import re
import signal
import sys
import threading
import time

import peers
import servers
from evict import gets_time, quantile, ready, rss_mib
from machine import SERVER_CORE, Trouble, core_ticks
from said import measuring_wait, tail

sys.path.append(os.path.join(servers.ROOT, "tests", "conform"))

from telemetry import Telemetry  # noqa: E402 (the path comes first)

WHOLE_MB, QUICK_MB = 4096, 256
VALUE_BYTES, ITEM_BYTES = 1000, 1100  # with header, key and index
SETS_PERCENT = 10
QUIET_S, LONGEST_S, POLL_S = 5.0, 600.0, 0.1
RUNS = 3
SLICE_MAX_US, THROUGHPUT_LEAST, RESTORE_MB_S = 100.0, 0.85, 500.0
BLOCK = 256 << 10
FILE = "bench.lc"


def worker_thread(pid):
    """The folder in /proc of the thread that has run longest: a worker polls without end."""
    def ran_ns(path):
        with open(os.path.join(path, "schedstat")) as f:
            return int(f.read().split()[0])

    tasks = f"/proc/{pid}/task"
    return max((os.path.join(tasks, task) for task in os.listdir(tasks)), key=ran_ns)


def sample(telemetry, pid):
    """What the worker counts, what the kernel counts of its thread, what the hypervisor stole from its
    core."""
    upkeep, thread = telemetry.ask("/lcached/upkeep,0"), worker_thread(pid)
    with open(os.path.join(thread, "schedstat")) as f:
        waited_ns = int(f.read().split()[1])
    with open(os.path.join(thread, "status")) as f:
        switched = int(re.search(r"nonvoluntary_ctxt_switches:\s+(\d+)", f.read())[1])
    return {
        "turns": upkeep["turns"],
        "turns_held": upkeep["turns_held"],
        "slices": upkeep["snapshot_slices"],
        "slices_held": upkeep["snapshot_slices_held"],
        "slices_s": upkeep["snapshot_done_us"] / 1e6,
        "busy_s": telemetry.ask("/lcached/worker,0")["busy_us"] / 1e6,
        "waited_ms": waited_ns / 1e6,
        "switched": switched,
        "stolen_ms": core_ticks(SERVER_CORE)[1] * 1000 / os.sysconf("SC_CLK_TCK"),
    }


def between(a, b):
    return {name: b[name] - a[name] for name in a}


def finished(telemetry):
    end = time.monotonic() + LONGEST_S
    while (state := telemetry.ask("/lcached/snapshot"))["state"] == "running":
        if time.monotonic() > end:
            raise Trouble(f"the snapshot is not done after {LONGEST_S} s: {state}")
        time.sleep(POLL_S)
    if state["state"] != "done":
        raise Trouble(f"the snapshot failed: {state}")
    return state


def load_of(megabytes):
    keys = (megabytes << 20) // ITEM_BYTES
    return {
        "proto": "tcp", "connections": 50, "pipeline": 1, "key-size": 20, "keys": keys,
        "value-size": VALUE_BYTES, "sets": SETS_PERCENT,
    }  # fmt: skip


def side(scratch, megabytes, *options):
    return servers.lcached_server(
        scratch, megabytes * 5 // 4, options=("--snapshot-dir", scratch, *options), cores="0,1")


def snapshot_run(megabytes, scratch):
    out = {}
    with side(scratch, megabytes) as (process, where):

        def meanwhile(generator):
            measuring_wait(generator)
            with Telemetry(process.pid) as telemetry:
                began = sample(telemetry, process.pid)
                time.sleep(QUIET_S)
                quiet_first = between(began, before := sample(telemetry, process.pid))
                out["rss_before_mib"] = rss_mib(process.pid)
                generator.send_signal(signal.SIGUSR1)
                telemetry.ask(f"/lcached/snapshot,{FILE}")
                out.update({f"snapshot_{k}": v for k, v in finished(telemetry).items()})
                generator.send_signal(signal.SIGUSR1)
                out["meanwhile"] = between(before, after := sample(telemetry, process.pid))
                out["rss_after_mib"] = rss_mib(process.pid)
                out["upkeep"] = telemetry.ask("/lcached/upkeep,0")
                time.sleep(QUIET_S)
                quiet_last = between(after, sample(telemetry, process.pid))
                out["quiet"] = {name: quiet_first[name] + quiet_last[name] for name in quiet_first}
                generator.send_signal(signal.SIGUSR2)

        seconds = 2 * QUIET_S + LONGEST_S
        result = servers.generator(load_of(megabytes), seconds, 1, where, process, meanwhile)
    if len(result["segments"]) != 3:
        raise Trouble(f"{len(result['segments'])} segments, 3 expected")
    before, during, after = result["segments"]
    quiet = sum(s["requests"] for s in (before, after)) / sum(s["seconds"] for s in (before, after))
    out["quiet_requests_per_s"] = quiet
    out["throughput"] = during["requests"] / during["seconds"] / quiet
    out["quiet_us"], out["during_us"] = before["get_p999_us"], during["get_p999_us"]
    out["slice_max_us"] = out["upkeep"]["snapshot_slice_max_ns"] / 1000
    out["slice_p999_us"] = out["upkeep"]["snapshot_slice_p999_ns"] / 1000
    return out


def held_judge(every):
    """Of all runs: slices of 100 us or more, and how many of them the machine makes by itself."""
    def total(segment, name):
        return sum(one[segment][name] for one in every)

    # A turn may be long by its own work, and a switch short: what both agree on is the machine's.
    stops = min(total("quiet", "turns_held"), total("quiet", "switched"))
    rate = stops / total("quiet", "busy_s")
    machine = rate * total("meanwhile", "slices_s")
    held = total("meanwhile", "slices_held")
    return {
        "held": held,
        "slices": total("meanwhile", "slices"),
        "slices_s": total("meanwhile", "slices_s"),
        "machine": machine,
        "ours": max(0, held - math.ceil(machine + 3 * math.sqrt(machine))),
        "machine_a_s": rate,
    }


def held_print(every, judged):
    for i, one in enumerate(every):
        upkeep = one["upkeep"]
        print(f"  slices {i + 1}  p99.9 {upkeep['snapshot_slice_p999_ns'] / 1000:.1f} us, longest "
              f"{upkeep['snapshot_slice_max_ns'] / 1000:.0f} us, which did {upkeep['snapshot_slice_max_units']} units "
              f"and what was left of a step of 16 items")  # fmt: skip
        for name in ("quiet", "meanwhile"):
            n = one[name]
            print(f"    {name:10} {n['busy_s']:6.1f} s busy: {n['turns_held']} of {n['turns']:,} turns held, "
                  f"{n['slices_held']} of {n['slices']:,} slices; the worker was switched off "
                  f"{n['switched']} times and waited {n['waited_ms']:.0f} ms, the hypervisor stole "
                  f"{n['stolen_ms']:.0f} ms")  # fmt: skip
    print(f"  held       {judged['held']} of {judged['slices']:,} slices (of {judged['slices_s']:.2f} s) for "
          f"{SLICE_MAX_US:.0f} us or more; the machine stops the worker {judged['machine_a_s']:.2f} times a busy "
          f"second in the quiet segments: {judged['machine']:.1f} slices of these")  # fmt: skip


def cache_forget(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def disk_mb_s(path):
    """What reading the file from the disk, and nothing else, comes to."""
    cache_forget(path)
    start = time.monotonic()
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    while os.read(fd, BLOCK):
        pass
    os.close(fd)
    return os.path.getsize(path) / (time.monotonic() - start) / 1e6


def log_wait(process, pattern):
    end = time.monotonic() + LONGEST_S
    while time.monotonic() < end and process.poll() is None:
        with open(process.log) as f:
            if found := re.search(pattern, f.read()):
                return found
        time.sleep(0.01)
    raise Trouble(f"no {pattern!r}: {tail(process.log)}")


def restore_run(megabytes, scratch):
    """Restores what the snapshot wrote; then all that a generator asks for is there and right."""
    path = os.path.join(scratch, FILE)
    out = {"disk_mb_s": disk_mb_s(path)}
    cache_forget(path)
    with side(scratch, megabytes, "--restore", FILE) as (process, where):

        def meanwhile(generator):
            log_wait(process, r"restore: \S+: \d+ items")
            generator.send_signal(signal.SIGSTOP)
            told = log_wait(process, r"restore: \S+ (\d+) items in (\d+) ms \((\d+) bytes")
            generator.send_signal(signal.SIGCONT)
            out["items"], ms, size = map(int, told.groups())
            out["seconds"], out["restore_mb_s"] = ms / 1000, size / ms / 1000

        asked = {**load_of(megabytes), "sets": 0, "preload": "none", "verify": "all"}
        result = servers.generator(asked, 3, 1, where, process, meanwhile)
    if result["misses"] or result["errors"]:
        raise Trouble(f"{result['misses']} misses and {result['errors']} errors after the restore")
    return out


def redis_run(megabytes, scratch):
    """BGSAVE while one connection sets and another gets, one request after the other."""
    keys, value = (megabytes << 20) // ITEM_BYTES, b"v" * VALUE_BYTES
    with peers.opened(peers.Redis, scratch, 0) as peer:
        for i in range(0, keys, 8192):
            peer.set([peer.set_request(b"%020d" % n, value) for n in range(i, min(i + 8192, keys))])
        quiet, during, stop = [], [], threading.Event()

        def write():
            s, n = peer.connect(), 0
            while not stop.is_set():
                s.sendall(b"".join(
                    peer.set_request(b"%020d" % ((n + k) * 7919 % keys), value) for k in range(16)))
                s.recv(4096)
                n += 16
            s.close()

        writer = threading.Thread(target=write)
        writer.start()
        quiet = gets_time(peer, 2, stop)
        start = time.monotonic()
        peer.call(b"BGSAVE\r\n")
        ended = threading.Event()
        getter = threading.Thread(
            target=lambda: during.extend(gets_time(peer, LONGEST_S, ended)))
        getter.start()
        while peer.info("rdb_bgsave_in_progress") and time.monotonic() < start + LONGEST_S:
            time.sleep(POLL_S)
        seconds = time.monotonic() - start
        ended.set()
        stop.set()
        getter.join()
        writer.join()
        return {
            "seconds": seconds,
            "extra_bytes": peer.info("rdb_last_cow_size"),
            "quiet_us": quantile(quiet, 0.999),
            "during_us": quantile(during, 0.999),
            "longest_us": during[-1],
        }


def rows_make(ours, judged, back, redis):
    at_least = min(RESTORE_MB_S, 0.9 * back["disk_mb_s"])

    def row(case, value, unit, target, holds, peer_value=None):
        return {
            "name": "snapshot", "case": case, "value": value, "unit": unit, "target": target,
            "holds": holds, "peer": "redis", "peer_value": peer_value,
        }  # fmt: skip

    return [
        row(f"slices of {SLICE_MAX_US:.0f} us or more that are not the machine's", judged["ours"], "slices", 0,
            judged["ours"] == 0),
        row("slices' p99.9", ours["slice_p999_us"], "us", SLICE_MAX_US, ours["slice_p999_us"] <= SLICE_MAX_US),
        row("longest slice", ours["slice_max_us"], "us", None, None, redis["longest_us"]),
        row("throughput to the quiet one", ours["throughput"], "ratio", THROUGHPUT_LEAST,
            ours["throughput"] >= THROUGHPUT_LEAST),
        row("p99.9 of gets to the quiet one", ours["during_us"] / ours["quiet_us"], "ratio", None, None,
            redis["during_us"] / redis["quiet_us"]),
        row("extra memory", ours["snapshot_extra_bytes"], "bytes", None, None, redis["extra_bytes"]),
        row("time", ours["snapshot_milliseconds"] / 1000, "s", None, None, redis["seconds"]),
        row("restore", back["restore_mb_s"], "MB/s", at_least, back["restore_mb_s"] >= at_least),
    ]  # fmt: skip


def run(args, scratch):
    megabytes = QUICK_MB if args.quick else WHOLE_MB
    ready()
    every = [snapshot_run(megabytes, scratch) for _ in range(RUNS)]
    ours = sorted(every, key=lambda one: one["throughput"])[RUNS // 2]
    for name in ("slice_max_us", "slice_p999_us"):
        ours[name] = max(one[name] for one in every)
    judged = held_judge(every)
    shares = " ".join(f"{one['throughput']:.3f}" for one in every)
    backs = [restore_run(megabytes, scratch) for _ in range(RUNS)]
    back = sorted(backs, key=lambda one: one["restore_mb_s"])[RUNS // 2]
    redis = redis_run(megabytes, scratch)
    print(f"snapshot: {megabytes} MiB under load, {SETS_PERCENT}% sets; {ours['snapshot_items']:,} items, "
          f"{ours['snapshot_bytes']:,} bytes")  # fmt: skip
    print(
        f"  lcached  {ours['snapshot_milliseconds'] / 1000:7.1f} s; throughput {shares} of the quiet one; gets' "
        f"p99.9 {ours['quiet_us']:.1f} us before, {ours['during_us']:.1f} us meanwhile; extra memory "
        f"{ours['snapshot_extra_bytes'] / (1 << 20):.1f} MiB"
    )
    print(
        f"  redis    {redis['seconds']:7.1f} s; gets' p99.9 {redis['quiet_us']:.1f} us before, "
        f"{redis['during_us']:.1f} us meanwhile, longest {redis['longest_us']:.0f} us; extra memory "
        f"{redis['extra_bytes'] / (1 << 20):.1f} MiB"
    )
    for one in backs:
        print(f"  restore  {one['seconds']:7.1f} s, {one['restore_mb_s']:.0f} MB/s; the disk alone just before "
              f"{one['disk_mb_s']:.0f} MB/s: {one['restore_mb_s'] / one['disk_mb_s']:.2f}")  # fmt: skip
    held_print(every, judged)
    rows = rows_make(ours, judged, back, redis)
    for row in rows:
        if row["holds"] is not None:
            verdict = "holds" if row["holds"] else "MISSED"
            print(f"  {row['case']}: {row['value']:.2f} {row['unit']}, target {row['target']:.4g}: {verdict}")
    return [{**row, "detail": {"lcached": ours, "held": judged, "restore": back, "redis": redis}} for row in rows]
