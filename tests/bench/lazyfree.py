# SPDX-License-Identifier: BSD-3-Clause
"""Freeing much at once: how long the longest turn of a worker is (bench_lazyfree, lib/store and
lib/mem driven as a worker drives them), and how long the same request keeps memcached and redis from
answering. A turn's time is the fastest of three runs that do the same; "with the machine" is the longest
of all. Redis is asked for both its ways, in the foreground and by its helper thread."""

import json
import os
import subprocess
import time

import peers
import servers
from machine import Trouble

PROGRAM = os.path.join(servers.BUILD, "tests", "bench", "bench_lazyfree")
VALUE_BYTES = 512 << 20
TURN_MAX_US = 100.0
BATCH = 4096
MACHINE = ("nothing", "reading")  # turns that free nothing: what the machine itself takes


def timed_us(peer, request):
    """Until a request behind it is answered: no other client is either, before that."""
    probe = b"mn\r\n" if isinstance(peer, peers.Memcached) else b"PING\r\n"
    start = time.monotonic()
    reply = peer.call(request + probe)
    end_reply = peer.line()
    if not end_reply.startswith((b"MN", b"+PONG")):
        raise Trouble(f"{peer.name} answers {reply!r}, {end_reply!r}")
    return (time.monotonic() - start) * 1e6


def items_fill(peer, items):
    value = b"v" * 32
    for first in range(0, items, BATCH):
        numbers = range(first, min(first + BATCH, items))
        if peer.set([peer.set_request(b"%020d" % i, value) for i in numbers]):
            raise Trouble(f"{peer.name} refuses to store")


def big_set_redis(peer):
    peer.call(b"SETRANGE big %d x\r\n" % (VALUE_BYTES - 1))


def big_set_memcached(peer):
    size = VALUE_BYTES
    peer.socket.sendall(b"set big 0 0 %d\r\n" % size)
    part = b"v" * (1 << 20)
    for _ in range(size >> 20):
        peer.socket.sendall(part)
    peer.socket.sendall(b"\r\n")
    if peer.line() != b"STORED":
        raise Trouble("memcached refuses to store")


def redis_run(items, scratch):
    with peers.opened(peers.Redis, scratch, 0) as peer:
        big_set_redis(peer)
        delete = timed_us(peer, b"DEL big\r\n")
        big_set_redis(peer)
        unlink = timed_us(peer, b"UNLINK big\r\n")
        items_fill(peer, items)
        flush = timed_us(peer, b"FLUSHALL SYNC\r\n")
        items_fill(peer, items)
        flush_async = timed_us(peer, b"FLUSHALL ASYNC\r\n")
    return {
        "redis": {"delete": delete, "flush": flush},
        "redis, by its helper thread": {"delete": unlink, "flush": flush_async},
    }


def memcached_run(items, scratch):
    with peers.opened(peers.Memcached, scratch, 8192, "-I", "1024m") as peer:
        big_set_memcached(peer)
        delete = timed_us(peer, b"delete big\r\n")
        items_fill(peer, items)
        flush = timed_us(peer, b"flush_all\r\n")
    return {"memcached": {"delete": delete, "flush": flush}}


def rows_make(results, theirs):
    for ours in results:
        holds = ours["own_max_us"] <= TURN_MAX_US
        kind = "delete" if ours["case"] == "replace" else ours["case"]
        for peer, times in theirs.items():
            if kind not in times:
                continue
            yield {
                "name": "lazyfree",
                "case": ours["case"],
                "value": ours["own_max_us"],
                "unit": "us, longest turn",
                "peer": peer,
                "peer_value": times[kind],
                "target": TURN_MAX_US,
                "holds": holds,
                "detail": ours,
            }


def run(args, scratch):
    items = 2000000 if args.quick else 20000000
    servers.programs_build("tests/bench/bench_lazyfree")
    peers.installed_ensure()
    command = [PROGRAM, str(VALUE_BYTES), str(items)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    print(f"lazyfree: delete or replace a value of {VALUE_BYTES >> 20} MiB, flush {items:,} items")
    print(
        f"  {'lcached':<10} {'the act':>10} {'longest turn':>13} {'with the machine':>17} {'p99.9':>9} "
        f"{'all freed in':>13}"
    )
    for r in results:
        verdict = "holds" if r["own_max_us"] <= TURN_MAX_US else "MISSED"
        print(
            f"  {r['case']:<10} {r['act_us']:7.1f} us {r['own_max_us']:10.1f} us {r['max_us']:14.1f} us "
            f"{r['p999_us']:6.1f} us {r['seconds']:11.2f} s"
            + ("" if r["case"] in MACHINE else f"  at most {TURN_MAX_US:.0f} us: {verdict}")
        )
    theirs = {**memcached_run(items, scratch), **redis_run(items, scratch)}
    print("  until the next request is answered:")
    for peer, times in theirs.items():
        print(f"  {peer:<28} delete {times['delete']:10.0f} us   flush {times['flush']:10.0f} us")
    return list(rows_make([r for r in results if r["case"] not in MACHINE], theirs))
