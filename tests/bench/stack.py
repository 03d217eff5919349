# SPDX-License-Identifier: BSD-3-Clause
"""The TCP stack under many connections: what an idle one takes (tcp-conns), how fast they come and go
(tcp-churn), and what a SYN flood does to those that are there (syn-flood)."""

import os
import signal
import statistics
import sys
import time

import machine
import servers
from machine import Trouble

sys.path.append(os.path.join(servers.ROOT, "tests", "conform"))

from telemetry import Telemetry  # noqa: E402 (the path comes first)

SOURCES = 40
MBUFS = 65536  # of each side: idle connections hold none
SMALL = {"proto": "tcp", "mode": "get", "keys": 10000}


def lcached_server(scratch, connections):
    """With few packet buffers, a way back to any address, and room for that many connections."""
    lines, back = (f"mbufs {MBUFS}",), ("gateway 198.18.211.1",)
    return servers.lcached_server(scratch, connections=connections, lines=lines, server_lines=back)


def ready():
    servers.build()
    machine.hugepages_ensure()


def row(name, case, value, unit, target, holds, **more):
    return {"name": name, "case": case, "value": value, "unit": unit, "target": target, "holds": holds, **more}


def verdict(holds):
    return {True: "holds", False: "MISSED", None: "no target"}[holds]


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def held_wait(process):
    """Until all of lcbench's connections are there."""
    end = time.monotonic() + 300
    while time.monotonic() < end and process.poll() is None:
        with open(process.log) as f:
            if " connections\n" in f.read():
                return
        time.sleep(0.1)
    raise Trouble(f"lcbench does not get its connections: {servers.tail(process.log)}")


# ---- tcp-conns ----------------------------------------------------------------------------------

CONNS = 1000000
CONN_BYTES_MOST = 600


def conns_once(connections, room, scratch):
    """A server with that many idle connections: its memory, and what a get on each of them gave."""
    out = {}
    load = {**SMALL, "connections": connections, "sources": SOURCES, "hold": True, "once": True}
    with lcached_server(scratch, room) as (process, where):

        def meanwhile(generator):
            start = time.monotonic()
            held_wait(generator)
            out["connect_s"] = time.monotonic() - start
            out["rss_bytes"] = rss_bytes(process.pid)
            with Telemetry(process.pid) as telemetry:
                memory = telemetry.ask("/lcached/memory")
                out["used_bytes"] = memory["used_memory"]
            generator.send_signal(signal.SIGUSR1)

        result = servers.generator(load, 60, 0, where, process, meanwhile)
    lost = result["lost_connections"] + result["errors"] + result["misses"]
    return {**out, "answered": result["requests"], "lost": lost, "seconds": result["seconds"]}


def conns_run(args, scratch):
    ready()
    n = CONNS // 10 if args.quick else CONNS
    empty, full = conns_once(1, n + 64, scratch), conns_once(n, n + 64, scratch)
    each = max(full[key] - empty[key] for key in ("rss_bytes", "used_bytes")) / n
    answered = full["answered"] == n and full["lost"] == 0
    print(
        f"tcp-conns: {n:,} connections in {full['connect_s']:.1f} s; RSS {empty['rss_bytes'] >> 20} to "
        f"{full['rss_bytes'] >> 20} MiB, used_memory {empty['used_bytes'] >> 20} to {full['used_bytes'] >> 20} MiB"
    )
    print(f"  {each:.0f} bytes a connection, at most {CONN_BYTES_MOST}: {verdict(each <= CONN_BYTES_MOST)}")
    print(
        f"  {full['answered']:,} answered a get ({full['lost']} lost or wrong) in {full['seconds']:.1f} s: "
        f"{verdict(answered)}"
    )
    detail = {"empty": empty, "full": full}
    return [
        row("tcp-conns", f"{n} idle", each, "bytes a connection", CONN_BYTES_MOST, each <= CONN_BYTES_MOST,
            detail=detail),
        row("tcp-conns", f"{n} answer a get", full["answered"], "connections", n, answered, detail=detail),
    ]


# ---- tcp-churn ----------------------------------------------------------------------------------

CHURN, CHURN_LEAST = 64, 10.0


def churn_once(side, args, scratch):
    load = {**SMALL, "connections": CHURN, "churn": CHURN}
    if side == "lcached":
        with lcached_server(scratch, 65536) as (process, where):
            return servers.generator({**load, "sources": SOURCES}, args.seconds, args.warmup, where, process)
    with servers.memcached_server(scratch) as (process, where):
        return servers.generator(load, args.seconds, args.warmup, where, process)


def churn_run(args, scratch):
    ready()
    print(f"tcp-churn: open, one get, close; {CHURN} at a time; connections/s: lcached, memcached, ratio")
    pairs = []
    for _ in range(args.rounds):
        pair = [churn_once(side, args, scratch) for side in ("lcached", "memcached")]
        for result in pair:
            if result["errors"] or result["misses"]:
                raise Trouble(f"{result['errors']} errors, {result['misses']} misses")
        rates = [result["opens"] / result["seconds"] for result in pair]
        pairs.append((*rates, rates[0] / rates[1]))
        print("  {:12,.0f} {:12,.0f} {:8.2f}".format(*pairs[-1]))
    ours, peer, ratio = (statistics.median(column) for column in zip(*pairs))
    ratios = [pair[2] for pair in pairs]
    holds = ratio >= CHURN_LEAST
    print(f"  ratio {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}), at least {CHURN_LEAST}: {verdict(holds)}")
    return [
        row("tcp-churn", "open, one get, close", ours, "connections/s", CHURN_LEAST, holds, peer="memcached",
            peer_value=peer, ratio=ratio, ratio_min=min(ratios), ratio_max=max(ratios), runs=len(pairs))
    ]


# ---- syn-flood ----------------------------------------------------------------------------------

FLOOD_PPS, FLOOD_S, FLOOD_KEPT = 1000000, 10, 0.8
STEADY, NEWCOMERS = 50, 4
GROWTH_MOST = 4 << 20  # half-open connections are bounded; what they take is not growth


def flood_once(extra, seconds, scratch):
    load = {**SMALL, "connections": STEADY, **extra}
    out = {}
    with lcached_server(scratch, 65536) as (process, where):

        def meanwhile(generator):
            time.sleep(seconds)
            if generator.poll() is None:
                with Telemetry(process.pid) as telemetry:
                    out["used_bytes"] = telemetry.ask("/lcached/memory")["used_memory"]

        return {**servers.generator(load, seconds + 1, 1, where, process, meanwhile), **out}


def flood_run(args, scratch):
    ready()
    seconds = 4 if args.quick else FLOOD_S
    peak = flood_once({}, 3, scratch)["requests_per_s"]
    offered = {"rate": int(peak / 2), "connections": STEADY + NEWCOMERS, "churn": NEWCOMERS}
    calm = flood_once(offered, seconds, scratch)
    flood = flood_once({**offered, "syn-flood": FLOOD_PPS}, seconds, scratch)
    kept = flood["requests_per_s"] / calm["requests_per_s"]
    pps = flood["syns"] / flood["seconds"]
    growth = flood["used_bytes"] - calm["used_bytes"]
    good = flood["errors"] == flood["lost_connections"] == 0
    print(f"syn-flood: peak {peak:,.0f} gets/s; half of it offered on {STEADY} connections, {NEWCOMERS} come and go")
    print(
        f"  calm  {calm['requests_per_s']:12,.0f} gets/s, {calm['opens'] / calm['seconds']:10,.0f} new connections/s, "
        f"p99.9 {calm['p999_us']:.0f} us"
    )
    print(
        f"  flood {flood['requests_per_s']:12,.0f} gets/s, {flood['opens'] / flood['seconds']:10,.0f} new connections/s, "
        f"p99.9 {flood['p999_us']:.0f} us, {pps:,.0f} SYNs/s, {flood['lost_connections']} lost, "
        f"used_memory {growth / 1024:+,.0f} KiB"
    )
    checks = {
        "throughput kept": (kept, FLOOD_KEPT, kept >= FLOOD_KEPT and good),
        "new connections": (flood["opens"], 1, flood["opens"] > 0),
        "growth of used_memory": (growth, GROWTH_MOST, growth <= GROWTH_MOST),
        "SYNs a second": (pps, FLOOD_PPS * 0.9, pps >= FLOOD_PPS * 0.9),
    }
    for name, (value, target, holds) in checks.items():
        print(f"  {name} {value:,.2f}, target {target:,}: {verdict(holds)}")
    detail = {"calm": calm, "flood": flood}
    return [
        row("syn-flood", name, value, "", target, holds, detail=detail)
        for name, (value, target, holds) in checks.items()
    ]
