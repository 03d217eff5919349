# SPDX-License-Identifier: BSD-3-Clause
"""The same get with many more items (items), and over many more connections (conns)."""

import signal
import statistics
import time

import machine
import rounds
import servers
from machine import Trouble
from said import measuring_wait

GET = {"mode": "get", "proto": "tcp", "connections": 50, "key-size": 32, "value-size": 32}


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


def told(row, few_name, note=""):
    print(f"{row['name']} ({row['case']} against {few_name}), gets/s, {row['runs']} rounds")
    print(f"  {row['value']:,.0f} ({row['min']:,.0f} to {row['max']:,.0f}) against {row['peer_value']:,.0f}")
    print(f"  ratio of the medians {row['ratio']:.2f}, at least {row['target']:g}: {rounds.verdict(row)}{note}")


def servers_ready():
    servers.build()
    machine.hugepages_ensure()


# ---- items --------------------------------------------------------------------------------------

FEW_KEYS, MANY_KEYS, MANY_KEYS_QUICK = 100000, 100000000, 10000000
ITEM_BYTES = 160  # of the server, with its part of the index while that grows
SPARE_BYTES = 3 << 30
FILL_PER_S = 200000  # at least
ITEMS_LEAST = 0.6


def keys_that_fit(available_bytes, wanted):
    return max(FEW_KEYS, min(wanted, (available_bytes - SPARE_BYTES) // ITEM_BYTES))


def available_bytes():
    with open("/proc/meminfo") as f:
        for line in f:
            name, value, *_ = line.split()
            if name == "MemAvailable:":
                return int(value) << 10
    raise Trouble("no MemAvailable in /proc/meminfo")


def segments(keys, args, scratch):
    """Rates of as many stretches of one load as there are rounds."""
    load = {**GET, "keys": keys, "preload": "fill"}
    megabytes = max(servers.MEMORY_MB, keys * ITEM_BYTES >> 20)
    patience = servers.MEASURING_S + keys / FILL_PER_S

    def meanwhile(generator):
        measuring_wait(generator, patience)
        for _ in range(args.rounds):
            time.sleep(args.seconds)
            generator.send_signal(signal.SIGUSR1)

    with servers.lcached_server(scratch, memory_mb=megabytes) as (process, where):
        seconds = args.seconds * (args.rounds + 0.5)
        result = servers.generator(load, seconds, args.warmup, where, process, meanwhile)
    found = rounds.checked(result)["segments"][: args.rounds]
    return [segment["requests"] / segment["seconds"] for segment in found]


def items_run(args, scratch):
    servers_ready()
    wanted = MANY_KEYS_QUICK if args.quick else MANY_KEYS
    keys = keys_that_fit(available_bytes(), wanted)
    few = segments(FEW_KEYS, args, scratch)
    many = segments(keys, args, scratch)
    few += segments(FEW_KEYS, args, scratch)
    row = ratio_row("items", f"{keys:,} items", few, many, ITEMS_LEAST)
    note = "" if keys == wanted else f"\n  {wanted:,} items do not fit: {available_bytes() >> 30} GiB are free"
    told(row, f"{FEW_KEYS:,}", note)
    return [row]


# ---- conns --------------------------------------------------------------------------------------

FEW_CONNS, MANY_CONNS = 50, 100000
SOURCES = 40
CONNS_LEAST = 0.7
LINES, BACK = ("mbufs 131072",), ("gateway 198.18.211.1",)


def conns_once(connections, args, scratch):
    load = {**GET, "keys": FEW_KEYS, "connections": connections}
    if connections > FEW_CONNS:
        load["sources"] = SOURCES
    room = MANY_CONNS + 64
    with servers.lcached_server(scratch, connections=room, lines=LINES, server_lines=BACK) as (process, where):
        result = servers.generator(load, args.seconds, args.warmup, where, process)
    if result["lost_connections"]:
        raise Trouble(f"{result['lost_connections']} connections lost")
    return rounds.checked(result)


def conns_run(args, scratch):
    servers_ready()
    many_conns = MANY_CONNS // 10 if args.quick else MANY_CONNS
    results = [
        [conns_once(connections, args, scratch) for connections in (FEW_CONNS, many_conns)]
        for _ in range(args.rounds)
    ]
    few, many = ([result["requests_per_s"] for result in side] for side in zip(*results))
    row = ratio_row("conns", f"{many_conns:,} connections", few, many, CONNS_LEAST, detail=results)
    told(row, f"{FEW_CONNS}")
    return [row]
