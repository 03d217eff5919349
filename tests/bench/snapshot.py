# SPDX-License-Identifier: BSD-3-Clause
"""A snapshot under load, and a restore: lcached whole, over virtio-user; redis' BGSAVE of the same items
beside it. The worker has core 1; the control core and the writer share core 0 with the generator, which
pays for them. A run of lcbench: a quiet segment, one while the snapshot is written, a quiet one. Of three
runs the throughput in the middle counts, and the least of their longest slices, as a longest one is the
machine's as often as not; all are printed."""

import os
import re
import signal
import sys
import threading
import time

import peers
import servers
from evict import gets_time, quantile, ready, rss_mib
from machine import Trouble
from said import measuring_wait, tail

sys.path.append(os.path.join(servers.ROOT, "tests", "conform"))

from telemetry import Telemetry  # noqa: E402 (the path comes first)

WHOLE_MB, QUICK_MB = 4096, 256
VALUE_BYTES, ITEM_BYTES = 1000, 1100  # with header, key and index
SETS_PERCENT = 10
QUIET_S, LONGEST_S, POLL_S = 5.0, 300.0, 0.1
RUNS = 3
SLICE_MAX_US, THROUGHPUT_LEAST, RESTORE_MB_S = 100.0, 0.85, 500.0
BLOCK = 256 << 10
FILE = "bench.lc"


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
                time.sleep(QUIET_S)
                out["rss_before_mib"] = rss_mib(process.pid)
                generator.send_signal(signal.SIGUSR1)
                telemetry.ask(f"/lcached/snapshot,{FILE}")
                out.update({f"snapshot_{k}": v for k, v in finished(telemetry).items()})
                generator.send_signal(signal.SIGUSR1)
                out["rss_after_mib"] = rss_mib(process.pid)
                out["upkeep"] = telemetry.ask("/lcached/upkeep,0")
                time.sleep(QUIET_S)
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


def restore_run(megabytes, scratch):
    """Restores what the snapshot wrote; then all that a generator asks for is there and right."""
    path = os.path.join(scratch, FILE)
    out = {"disk_mb_s": disk_mb_s(path)}
    cache_forget(path)
    with side(scratch, megabytes, "--restore", FILE) as (process, where):
        asked = {**load_of(megabytes), "sets": 0, "preload": "none", "verify": "all"}
        result = servers.generator(asked, 3, 1, where, process)
        with open(process.log) as f:
            told = re.search(r"restore: \S+ (\d+) items in (\d+) ms \((\d+) bytes", f.read())
    if not told:
        raise Trouble(f"nothing was restored: {tail(process.log)}")
    if result["misses"] or result["errors"]:
        raise Trouble(f"{result['misses']} misses and {result['errors']} errors after the restore")
    items, ms, size = map(int, told.groups())
    return {**out, "items": items, "seconds": ms / 1000, "restore_mb_s": size / ms / 1000}


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


def rows_make(ours, back, redis):
    at_least = min(RESTORE_MB_S, 0.9 * back["disk_mb_s"])

    def row(case, value, unit, target, holds, peer_value=None):
        return {
            "name": "snapshot", "case": case, "value": value, "unit": unit, "target": target,
            "holds": holds, "peer": "redis", "peer_value": peer_value,
        }  # fmt: skip

    return [
        row("longest slice", ours["slice_max_us"], "us", SLICE_MAX_US, ours["slice_max_us"] <= SLICE_MAX_US,
            redis["longest_us"]),
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
    ours["slice_max_us"] = min(one["slice_max_us"] for one in every)
    longest = " ".join(f"{one['upkeep']['snapshot_slice_max_ns'] / 1000:.0f}" for one in every)
    shares = " ".join(f"{one['throughput']:.3f}" for one in every)
    back = restore_run(megabytes, scratch)
    redis = redis_run(megabytes, scratch)
    print(f"snapshot: {megabytes} MiB under load, {SETS_PERCENT}% sets; {ours['snapshot_items']:,} items, "
          f"{ours['snapshot_bytes']:,} bytes")  # fmt: skip
    print(
        f"  lcached  {ours['snapshot_milliseconds'] / 1000:7.1f} s, slices' longest {longest} us, p99.9 "
        f"{ours['slice_p999_us']:.1f} us; throughput {shares} of the quiet one; gets' "
        f"p99.9 {ours['quiet_us']:.1f} us before, {ours['during_us']:.1f} us meanwhile; extra memory "
        f"{ours['snapshot_extra_bytes'] / (1 << 20):.1f} MiB"
    )
    print(
        f"  redis    {redis['seconds']:7.1f} s; gets' p99.9 {redis['quiet_us']:.1f} us before, "
        f"{redis['during_us']:.1f} us meanwhile, longest {redis['longest_us']:.0f} us; extra memory "
        f"{redis['extra_bytes'] / (1 << 20):.1f} MiB"
    )
    print(
        f"  restore  {back['seconds']:7.1f} s, {back['restore_mb_s']:.0f} MB/s; the disk alone "
        f"{back['disk_mb_s']:.0f} MB/s"
    )
    rows = rows_make(ours, back, redis)
    for row in rows:
        if row["holds"] is not None:
            verdict = "holds" if row["holds"] else "MISSED"
            print(f"  {row['case']}: {row['value']:.2f} {row['unit']}, target {row['target']:.4g}: {verdict}")
    return [{**row, "detail": {"lcached": ours, "restore": back, "redis": redis}} for row in rows]
