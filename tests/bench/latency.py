# SPDX-License-Identifier: BSD-3-Clause
"""Latencies in an open loop, at a share of what each server can do: lcbench asks on a schedule, and
counts from when a request was due."""

import statistics

import machine
import plot
import rounds
import servers
from machine import Trouble

LOAD = {"mode": "get", "proto": "tcp", "connections": 50, "keys": 100000, "key-size": 32, "value-size": 32}
SHARE = 0.7  # of the peak
P99_MOST_US, TIMES_LEAST = 20.0, 20.0
CURVE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
PEAK_S = 2


def sides_found(scratch):
    """{name: (its run, gets a second when they are not paced)}"""
    case = rounds.Case("peak", LOAD)
    way, peer_run = rounds.peer_choose(case, scratch)
    runs = {"lcached": servers.lcached_run, f"memcached {way}": peer_run}
    return {
        name: (run, case.figure(rounds.checked(run(LOAD, PEAK_S, 1, scratch))))
        for name, run in runs.items()
    }


def paced(side, share, args, scratch):
    run, peak = side
    load = {**LOAD, "rate": int(peak * share)}
    return rounds.checked(run(load, args.seconds, args.warmup, scratch))


def quiet_pairs(sides, args, scratch):
    """Rounds that count, a result a side each."""
    pairs = []
    for _ in range(args.rounds * rounds.ATTEMPTS_A_ROUND):
        pair = [paced(side, SHARE, args, scratch) for side in sides.values()]
        if args.keep_noisy or not any(map(rounds.noise, pair)):
            pairs.append(pair)
        if len(pairs) == args.rounds:
            break
    if not pairs:
        raise Trouble("no round was quiet enough to count (--keep-noisy counts them all)")
    return pairs


def rows_of(pairs):
    """The two targets: lcached's p99, and how many times the peer's is longer."""
    ours, peers = ([result["p99_us"] for result in side] for side in zip(*pairs))
    times = [b / a for a, b in zip(ours, peers)]
    common = {"name": "latency", "runs": len(pairs), "peer": "memcached", "detail": pairs}
    p99, ratio = statistics.median(ours), statistics.median(times)
    figures = {"peer_value": statistics.median(peers), "ratio": ratio}
    figures |= {"ratio_min": min(times), "ratio_max": max(times)}
    return [
        {**common, **figures, "case": "p99 at 70% of peak", "value": p99, "min": min(ours), "max": max(ours),
         "unit": "us", "target": P99_MOST_US, "holds": p99 <= P99_MOST_US},
        {**common, **figures, "case": "memcached's p99 at its 70%, to ours", "value": ratio, "min": min(times),
         "max": max(times), "unit": "ratio", "target": TIMES_LEAST, "holds": ratio >= TIMES_LEAST},
    ]  # fmt: skip


def table(sides, pairs, rows):
    print(f"latency: {LOAD['connections']} connections, an open loop at 70% of each one's peak, {len(pairs)} rounds")
    print(f"  {'':<20}{'peak/s':>12}{'p50 us':>9}{'p90':>9}{'p99':>9}{'p99.9':>9}{'backlog':>9}")
    for (name, (_, peak)), results in zip(sides.items(), zip(*pairs)):
        told = [rounds.middle(results, key) for key in ("p50_us", "p90_us", "p99_us", "p999_us")]
        print(
            f"  {name:<20}{peak:12,.0f}"
            + "".join(f"{us:9.1f}" for us in told)
            + f"{max(result['backlog_end'] for result in results):9,}"
        )
    for row in rows:
        limit = "at most" if row["unit"] == "us" else "at least"
        print(
            f"  {row['case']}: {row['value']:.1f} {row['unit']} ({row['min']:.1f} to {row['max']:.1f}), "
            f"{limit} {row['target']:g}: {rounds.verdict(row)}"
        )


def curve_plot(sides, args, scratch):
    lines = {
        name: [(100 * share, paced(side, share, args, scratch)["p99_us"]) for share in CURVE]
        for name, side in sides.items()
    }
    plot.curves(args.plots, "latency-by-load", "p99 in an open loop, 50 connections", "percent of the peak",
                lines, y_label="us", log_x=False, log_y=True)  # fmt: skip


def run(args, scratch):
    servers.build()
    machine.hugepages_ensure()
    sides = sides_found(scratch)
    pairs = quiet_pairs(sides, args, scratch)
    rows = rows_of(pairs)
    table(sides, pairs, rows)
    if args.plots:
        curve_plot(sides, args, scratch)
    return rows
