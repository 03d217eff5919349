# SPDX-License-Identifier: BSD-3-Clause
"""A cut of maxmemory under load (shrink): lcached whole, over virtio-user; memcached and redis beside it.
And what this has in common with evict-speed."""

import os
import signal
import socket
import sys
import threading
import time

import machine
import peers
import servers
from machine import Trouble
from said import measuring_wait

sys.path.append(os.path.join(servers.ROOT, "tests", "conform"))

from telemetry import Telemetry  # noqa: E402 (the path comes first)

LOAD = {"proto": "tcp", "connections": 50, "pipeline": 1, "key-size": 20}
SIDES = {"lcached": servers.lcached_server, "memcached": servers.memcached_server}


def ready():
    servers.build()
    peers.installed_ensure()
    machine.hugepages_ensure()


def evicted(side, process, where):
    if side == "lcached":
        with Telemetry(process.pid) as telemetry:
            return telemetry.ask("/lcached/info")["evicted_keys"]
    return memcached_stat(where, "evictions")


def held(side, process, where):
    if side == "lcached":
        with Telemetry(process.pid) as telemetry:
            return telemetry.ask("/lcached/info")["keyspace_keys"]
    return memcached_stat(where, "curr_items")


def memcached_ask(where, request, end):
    with socket.create_connection(("127.0.0.1", int(where[-1]))) as s:
        s.sendall(request)
        text = b""
        while not text.endswith(end):
            part = s.recv(65536)
            if not part:
                break
            text += part
    return text.decode()


def memcached_stat(where, name):
    for line in memcached_ask(where, b"stats\r\n", b"END\r\n").splitlines():
        words = line.split()
        if words[1:2] == [name]:
            return int(words[2])
    raise Trouble(f"memcached has no {name}")


# ---- shrink -------------------------------------------------------------------------------------

FROM_MB, TO_MB = 4096, 1024
SHRINK_S, SHRINK_LATENCY_MOST = 10.0, 2.0
QUIET_S, WAIT_S, POLL_S = 4.0, 30.0, 0.1
DECAY_S = 12.0  # free pages are kept for ten seconds
SHRINK_VALUE_BYTES, SHRINK_KEYS = 1000, 4500000


def cut_watch(cut, used_bytes, goal_bytes):
    """Seconds from the order to when it is carried out, or None."""
    start = time.monotonic()
    cut()
    while used_bytes() > goal_bytes:
        if time.monotonic() - start > WAIT_S:
            return None
        time.sleep(POLL_S)
    return time.monotonic() - start


def asked(used_bytes, seconds):
    """Asks as often as cut_watch does: the answer takes time from the same CPU."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        used_bytes()
        time.sleep(POLL_S)


def rss_mib(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def shrink_lcbench(side, args, scratch):
    """The cut under lcbench's load: a segment before it, one while it is carried out."""
    smaller = args.smaller
    load = {**LOAD, "value-size": SHRINK_VALUE_BYTES, "keys": SHRINK_KEYS // smaller}
    load.update({"sets": 10, "evicting": True})
    goal_bytes = (TO_MB << 20) // smaller
    out = {}
    with SIDES[side](scratch, FROM_MB // smaller) as (process, where):

        def used_bytes():
            if side == "lcached":
                return telemetry.ask("/lcached/memory")["used_memory"]
            return memcached_stat(where, "limit_maxbytes") and memcached_malloced(where)

        def cut():
            if side == "lcached":
                telemetry.ask(f"/lcached/config/set,maxmemory={goal_bytes}")
            else:
                request = b"cache_memlimit %d\r\n" % (goal_bytes >> 20)
                memcached_ask(where, request, b"\r\n")

        def meanwhile(generator):
            nonlocal telemetry
            measuring_wait(generator)
            if side == "lcached":
                telemetry = Telemetry(process.pid)
            asked(used_bytes, QUIET_S)
            out["used_before_mib"], out["rss_before_mib"] = used_bytes() >> 20, rss_mib(process.pid)
            generator.send_signal(signal.SIGUSR1)
            out["seconds"] = cut_watch(cut, used_bytes, goal_bytes)
            generator.send_signal(signal.SIGUSR1)
            out["used_after_mib"], out["rss_after_mib"] = used_bytes() >> 20, rss_mib(process.pid)
            time.sleep(DECAY_S)
            out["rss_later_mib"] = rss_mib(process.pid)
            generator.send_signal(signal.SIGUSR1)

        telemetry = None
        seconds = QUIET_S + (12 if side == "lcached" else WAIT_S) + DECAY_S + 3
        result = servers.generator(load, seconds, 1, where, process, meanwhile)
    if len(result["segments"]) < 3:
        raise Trouble(f"{side}: the cut took longer than lcbench ran")
    out["quiet_us"], out["cut_us"] = (s["get_p999_us"] for s in result["segments"][:2])
    out["cut_max_us"] = result["segments"][1]["get_max_us"]
    return out


def memcached_malloced(where):
    for line in memcached_ask(where, b"stats slabs\r\n", b"END\r\n").splitlines():
        words = line.split()
        if words[1:2] == ["total_malloced"]:
            return int(words[2])
    raise Trouble("memcached has no total_malloced")


def gets_time(peer, seconds, stop):
    """Latencies of single gets, one after the other, in microseconds, sorted."""
    times, i = [], 0
    s = peer.connect()
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stop.is_set():
        request = peer.touch_request(b"%020d" % (i % 100000))
        start = time.monotonic()
        s.sendall(request)
        s.recv(64)
        times.append((time.monotonic() - start) * 1e6)
        i += 1
    s.close()
    return sorted(times)


def quantile(values, q):
    return values[min(len(values) - 1, int(len(values) * q))]


def shrink_redis(args, scratch):
    """One connection gets while another orders the cut: redis does not speak memcached's protocol."""
    goal_bytes = (TO_MB << 20) // args.smaller
    options = ("--maxmemory-policy", "allkeys-lru")
    with peers.opened(peers.Redis, scratch, (FROM_MB << 20) // args.smaller, *options) as peer:
        value, i = b"v" * SHRINK_VALUE_BYTES, 0
        while not peer.info("evicted_keys"):
            batch = [peer.set_request(b"%020d" % n, value) for n in range(i, i + 8192)]
            peer.set(batch)
            i += len(batch)
        quiet, stop, during = [], threading.Event(), []
        thread = threading.Thread(target=lambda: quiet.extend(gets_time(peer, 2, stop)))
        thread.start()
        asked(lambda: peer.info("used_memory"), 2)
        thread.join()
        thread = threading.Thread(target=lambda: during.extend(gets_time(peer, WAIT_S, stop)))
        out = {"used_before_mib": peer.info("used_memory") >> 20}
        out["rss_before_mib"] = rss_mib(peer.process.pid)
        thread.start()
        out["seconds"] = cut_watch(
            lambda: peer.call(b"CONFIG SET maxmemory %d\r\n" % goal_bytes),
            lambda: peer.info("used_memory"),
            goal_bytes,
        )
        stop.set()
        thread.join()
        out["used_after_mib"] = peer.info("used_memory") >> 20
        out["rss_after_mib"] = rss_mib(peer.process.pid)
        time.sleep(DECAY_S)
        out["rss_later_mib"] = rss_mib(peer.process.pid)
    out.update(quiet_us=quantile(quiet, 0.999), cut_us=quantile(during, 0.999))
    out["cut_max_us"] = during[-1]
    return out


def shrink_print(side, out):
    took = "not in 30 s" if out["seconds"] is None else f"{out['seconds']:8.2f} s"
    print(
        f"  {side:<10} used {out['used_before_mib']:5} to {out['used_after_mib']:5} MiB in {took:>11}, "
        f"RSS {out['rss_before_mib']:5} to {out['rss_after_mib']:5} ({DECAY_S:.0f} s later {out['rss_later_mib']:5}) "
        f"MiB; gets' p99.9 {out['quiet_us']:8.1f} us before, {out['cut_us']:8.1f} us meanwhile "
        f"({out['cut_us'] / out['quiet_us']:.2f} times), longest {out['cut_max_us']:10.1f} us"
    )


def shrink_row(kind, side, value, unit, target, holds, out):
    return {
        "name": "shrink",
        "case": f"{side}: {kind}",
        "value": value,
        "unit": unit,
        "target": target,
        "holds": holds,
        "detail": out,
    }


def shrink_run(args, scratch):
    ready()
    args.smaller = 8 if args.quick else 1
    print(f"shrink: maxmemory {FROM_MB // args.smaller} to {TO_MB // args.smaller} MiB under load")
    rows = []
    for side in (*SIDES, "redis"):
        if side == "redis":
            out = shrink_redis(args, scratch)
        else:
            out = shrink_lcbench(side, args, scratch)
        shrink_print(side, out)
        ours = side == "lcached"
        ratio = out["cut_us"] / out["quiet_us"]
        fast = out["seconds"] is not None and out["seconds"] <= SHRINK_S
        rows += [
            shrink_row("time to get there", side, out["seconds"], "s", SHRINK_S, fast if ours else None, out),
            shrink_row(
                "p99.9 of gets to the quiet one", side, ratio, "ratio", SHRINK_LATENCY_MOST,
                ratio <= SHRINK_LATENCY_MOST if ours else None, out,
            ),
        ]
    for row in rows:
        if row["holds"] is not None:
            verdict = "holds" if row["holds"] else "MISSED"
            print(f"  {row['case']}: {row['value'] or 0:.2f} {row['unit']}, at most {row['target']}: {verdict}")
    return rows
