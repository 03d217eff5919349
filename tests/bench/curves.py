# SPDX-License-Identifier: BSD-3-Clause
"""Throughput by value size, by connections, by items and by pipelining: one round a point, for the shape. Plotted
with --plots."""

import machine
import plot
import rounds
import servers

BASE = {"mode": "get", "proto": "tcp", "connections": 50, "keys": 10000, "key-size": 32, "value-size": 32}
KINDS = {  # name: (option, its values, loads that go with them, what is on the axis)
    "value-size": ("value-size", (32, 128, 512, 1024, 4096, 16384, 65536), {"keys": 4000}, "bytes of a value"),
    "connections": ("connections", (1, 4, 16, 64, 256, 1024), {}, "connections, one in flight on each"),
    "items": ("keys", (1000, 10000, 100000, 1000000, 4000000), {"preload": "fill"}, "items"),
    "pipeline": ("pipeline", (1, 2, 4, 8, 16, 32, 64), {"commands": "meta"}, "mg in flight on each of 50"),
}
SIDES = {"lcached": servers.lcached_run, "memcached": servers.loopback_run}


def point(side, load, args, scratch):
    result = rounds.checked(SIDES[side](load, args.seconds, args.warmup, scratch))
    return result["requests_per_s"]


def curve(kind, args, scratch):
    """{side: [(x, gets a second)]}"""
    option, values, more, _ = KINDS[kind]
    lines = {side: [] for side in SIDES}
    for value in values:
        for side, line in lines.items():
            line.append((value, point(side, {**BASE, **more, option: value}, args, scratch)))
        ours, peer = (lines[side][-1][1] for side in SIDES)
        print(f"  {option} {value:>6} {ours:14,.0f} {peer:14,.0f} {ours / peer:8.1f}")
    return lines


def rows_of(kind, lines):
    unit = {"unit": "requests/s", "target": None, "holds": None, "peer": "memcached", "runs": 1}
    return [
        {"name": "curves", "case": f"{kind} {x}", "value": ours, "min": ours, "max": ours, **unit,
         "peer_value": peer, "ratio": ours / peer}
        for (x, ours), (_, peer) in zip(lines["lcached"], lines["memcached"])
    ]  # fmt: skip


def run(args, scratch):
    servers.build()
    machine.hugepages_ensure()
    rows = []
    for kind, (_, _, _, x_label) in KINDS.items():
        print(f"curves: gets/s by {kind}: lcached, memcached over loopback, ratio")
        lines = curve(kind, args, scratch)
        rows += rows_of(kind, lines)
        if args.plots:
            plot.curves(args.plots, f"throughput-by-{kind}", f"gets a second by {kind}", x_label, lines,
                        y_label="gets/s", log_y=True)  # fmt: skip
    return rows
