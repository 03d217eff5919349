# SPDX-License-Identifier: BSD-3-Clause
"""The same get with many more items (items), and over many more connections (conns); memcached's own
figures beside lcached's."""

import contextlib
import resource
import signal
import statistics
import time

import machine
import rounds
import servers
from machine import Trouble
from said import measuring_wait

GET = {"mode": "get", "proto": "tcp", "connections": 50, "key-size": 32, "value-size": 32}


lcached, memcached = servers.lcached_server, servers.memcached_server
NAMES = {lcached: "lcached", memcached: "memcached"}


def ratio_row(name, case, few, many, least, **more):
    """A row for many against few, each a list of rates."""
    value = statistics.median(many) / statistics.median(few)
    return {
        "name": name,
        "case": case,
        "value": statistics.median(many),
        "min": min(many),
        "max": max(many),
        "unit": "requests/s",
        "runs": len(many),
        "peer": "lcached",
        "peer_value": statistics.median(few),
        "ratio": value,
        "ratio_min": min(many) / max(few),
        "ratio_max": max(many) / min(few),
        "target": least,
        "holds": value >= least,
        **more,
    }


def told(row, few_name, peers, note=""):
    """peers: memcached's rates with few and with many."""
    print(f"{row['name']} ({row['case']} against {few_name}), gets/s, {row['runs']} rounds")
    print(f"  lcached    {row['value']:,.0f} ({row['min']:,.0f} to {row['max']:,.0f}) against {row['peer_value']:,.0f}")
    few, many = map(statistics.median, peers)
    print(f"  memcached  {many:,.0f} against {few:,.0f}: ratio {many / few:.2f}")
    print(f"  ratio of the medians {row['ratio']:.2f}, at least {row['target']:g}: {rounds.verdict(row)}{note}")


def peers_fields(peers):
    few, many = map(statistics.median, peers)
    return {"memcached_few": few, "memcached_many": many, "memcached_ratio": many / few}


def servers_ready():
    servers.build()
    machine.hugepages_ensure()


# ---- items --------------------------------------------------------------------------------------

FEW_KEYS, MANY_KEYS, MANY_KEYS_QUICK = 100000, 100000000, 10000000
ITEM_BYTES = {lcached: 120, memcached: 170}  # of the server, with its part of the index
SPARE_BYTES = 3 << 30
FILL_PER_S = 200000  # at least
ITEMS_LEAST = 0.6
INDEX = ("-o", "hashpower=26")  # memcached's table as large as it would grow


def memory_bytes(side, keys):
    return max(servers.MEMORY_MB << 20, keys * ITEM_BYTES[side])


def region_bytes(keys):
    """Of hugepages for lcached's items and index: what it may use, and a part for what is half filled
    or kept ready."""
    used = memory_bytes(lcached, keys)
    return used + used // 8 + (256 << 20)


def keys_that_fit(side, available_bytes, wanted):
    room = available_bytes - SPARE_BYTES
    each = ITEM_BYTES[side] * 9 // 8 if side is lcached else ITEM_BYTES[side]
    return max(FEW_KEYS, min(wanted, room // each))


def available_bytes():
    with open("/proc/meminfo") as f:
        for line in f:
            name, value, *_ = line.split()
            if name == "MemAvailable:":
                return int(value) << 10
    raise Trouble("no MemAvailable in /proc/meminfo")


def segments(side, keys, args, scratch):
    """Rates of as many stretches of one load as there are rounds."""
    load = {**GET, "keys": keys, "preload": "fill"}
    patience = servers.MEASURING_S + keys / FILL_PER_S
    options = {
        lcached: ("--memory-region", str(region_bytes(keys))),
        memcached: INDEX if keys > FEW_KEYS else (),
    }

    def meanwhile(generator):
        measuring_wait(generator, patience)
        for _ in range(args.rounds):
            time.sleep(args.seconds)
            generator.send_signal(signal.SIGUSR1)

    pages = machine.hugepages(region_bytes(keys)) if side is lcached else contextlib.nullcontext()
    with pages, side(scratch, memory_mb=memory_bytes(side, keys) >> 20, options=options[side]) as (process, where):
        seconds = args.seconds * (args.rounds + 0.5)
        own = load if side is memcached else servers.own_load(load)
        result = servers.generator(own, seconds, args.warmup, where, process, meanwhile)
    found = rounds.checked(result)["segments"][: args.rounds]
    return [segment["requests"] / segment["seconds"] for segment in found]


def items_run(args, scratch):
    servers_ready()
    wanted = MANY_KEYS_QUICK if args.quick else MANY_KEYS
    keys = {side: keys_that_fit(side, available_bytes(), wanted) for side in (lcached, memcached)}
    few, many = [], []
    for _ in range(2):
        few += segments(lcached, FEW_KEYS, args, scratch)
        many += segments(lcached, keys[lcached], args, scratch)
    peers = [segments(memcached, n, args, scratch) for n in (FEW_KEYS, keys[memcached])]
    row = ratio_row("items", f"{keys[lcached]:,} items", few, many, ITEMS_LEAST, **peers_fields(peers))
    note = "".join(
        f"\n  {wanted:,} items do not fit with {NAMES[side]}: {keys[side]:,}"
        for side in keys
        if keys[side] != wanted
    )
    told(row, f"{FEW_KEYS:,}", peers, note)
    return [row]


# ---- conns --------------------------------------------------------------------------------------

FEW_CONNS, MANY_CONNS = 50, 100000
SOURCES = 40
FILES_SPARE = 64
CONNS_LEAST = 0.7
LINES, BACK = ("mbufs 131072",), ("gateway 198.18.211.1",)


def conns_once(side, connections, args, scratch):
    load = {**GET, "keys": FEW_KEYS, "connections": connections}
    if connections > FEW_CONNS and side is lcached:
        load["sources"] = SOURCES
    more = {
        lcached: {"lines": LINES, "server_lines": BACK, "connections": MANY_CONNS + 64},
        memcached: {"connections": connections + FILES_SPARE},
    }
    with side(scratch, **more[side]) as (process, where):
        own = load if side is memcached else servers.own_load(load)
        result = servers.generator(own, args.seconds, args.warmup, where, process)
    if result["lost_connections"]:
        raise Trouble(f"{result['lost_connections']} connections lost")
    return rounds.checked(result)


def kernel_conns(wanted):
    """As many as files may be open: memcached and lcbench raise the soft limit themselves."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, wanted + 2 * FILES_SPARE),) * 2)
        return wanted
    except (ValueError, OSError):
        return min(wanted, hard - 2 * FILES_SPARE)


def conns_run(args, scratch):
    servers_ready()
    many_conns = MANY_CONNS // 10 if args.quick else MANY_CONNS
    peer_conns = kernel_conns(many_conns)
    counts = [(side, n) for side, most in ((lcached, many_conns), (memcached, peer_conns)) for n in (FEW_CONNS, most)]
    results = [[conns_once(side, n, args, scratch) for side, n in counts] for _ in range(args.rounds)]
    few, many, *peers = ([result["requests_per_s"] for result in side] for side in zip(*results))
    more = {**peers_fields(peers), "detail": results}
    row = ratio_row("conns", f"{many_conns:,} connections", few, many, CONNS_LEAST, **more)
    note = "" if peer_conns == many_conns else f"\n  memcached has {peer_conns:,}: RLIMIT_NOFILE allows no more here"
    told(row, f"{FEW_CONNS}", peers, note)
    return [row]
