# SPDX-License-Identifier: BSD-3-Clause
"""Latencies in an open loop, at a share of what each server can do: lcbench asks on a schedule, and
counts from when a request was due. lcbench's answerer at lcached's rate shows what the link, the
generator and the machine's own interruptions make of that.

What counts are stretches of 50 ms in which nobody else had one of the two cores (lcbench --watch): a
neighbour that runs for 2 ms spoils 7 ms at 70% of the peak, whoever the server is."""

import statistics

import machine
import plot
import rounds
import servers
from machine import Trouble

LOAD = {"mode": "get", "proto": "tcp", "connections": 50, "keys": 100000, "key-size": 32, "value-size": 32}
SHARE = 0.7  # of the peak
P99_MOST_US, TIMES_LEAST = 20.0, 20.0
CURVE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
CURVE_POINTS = {"p50": "get_p50_us", "p99": "get_p99_us", "p99.9": "get_p999_us"}  # of a segment
CURVE_ROUNDS = 3  # at most, each of thirty runs
PEAK_S = 2
SEGMENT_S = 0.05
CALM_LEAST = 0.25  # of the segments
POINTS = ("p50_us", "p90_us", "p99_us", "p999_us")


def sides_found(scratch):
    """{name: (its run, gets a second when they are not paced)}: lcached, memcached, the ceiling, which
    is asked at lcached's rate."""
    case = rounds.Case("peak", LOAD)
    way, peer_run = rounds.peer_choose(case, scratch)
    ours, peer = (
        case.figure(rounds.checked(run(LOAD, PEAK_S, 1, scratch))) for run in (servers.lcached_run, peer_run)
    )
    return {
        "lcached": (servers.lcached_run, ours),
        f"memcached {way}": (peer_run, peer),
        "ceiling": (servers.ceiling_run, ours),
    }


def paced(side, share, args, scratch):
    run, peak = side
    load = {**LOAD, "rate": int(peak * share), "watch": True}
    load["segments"] = max(2, round(args.seconds / SEGMENT_S))
    return rounds.checked(run(load, args.seconds, args.warmup, scratch))


def calm(result, key):
    return [segment[key] for segment in result["segments"] if segment["calm"]] or [result[key]]


def calm_share(result):
    return sum(segment["calm"] for segment in result["segments"]) / len(result["segments"])


def rounds_run(sides, args, scratch):
    """Rounds in which every side had calm segments enough: a result a side each."""
    good = []
    for _ in range(args.rounds * rounds.ATTEMPTS_A_ROUND):
        found = [paced(side, SHARE, args, scratch) for side in sides.values()]
        if all(calm_share(result) >= (0 if args.keep_noisy else CALM_LEAST) for result in found):
            good.append(found)
        if len(good) == args.rounds:
            break
    if not good:
        raise Trouble("no round had calm stretches enough (--keep-noisy counts them all)")
    return good


def p99_of(name, result):
    """Of the peer, which sleeps, only the generator's core is known to be calm: the median of its
    calm stretches' p99, in which disturbances of its own core hardly count."""
    if name.startswith("memcached"):
        return statistics.median(calm(result, "get_p99_us"))
    return result["calm_p99_us"]


def rows_of(sides, good):
    """The two targets: lcached's p99, and how many times the peer's is longer."""
    ours, peers, ceilings = map(list, zip(*([p99_of(name, result) for name, result in zip(sides, r)] for r in good)))
    times = [b / a for a, b in zip(ours, peers)]
    common = {"name": "latency", "runs": len(good), "peer": "memcached"}
    p99, ratio = statistics.median(ours), statistics.median(times)
    figures = {"peer_value": statistics.median(peers), "ceiling": statistics.median(ceilings), "ratio": ratio}
    figures |= {"ratio_min": min(times), "ratio_max": max(times)}
    return [
        {**common, **figures, "case": "p99 at 70% of peak", "value": p99, "min": min(ours), "max": max(ours),
         "unit": "us", "target": P99_MOST_US, "holds": p99 <= P99_MOST_US, "detail": good},
        {**common, **figures, "case": "memcached's p99 at its 70%, to ours", "value": ratio, "min": min(times),
         "max": max(times), "unit": "ratio", "target": TIMES_LEAST, "holds": ratio >= TIMES_LEAST},
    ]  # fmt: skip


def table(sides, good, rows):
    print(f"latency: {LOAD['connections']} connections, an open loop at 70% of each one's peak, {len(good)} rounds")
    print(f"  {'us, of calm stretches':<22}{'rate/s':>12}{'p50':>9}{'p90':>9}{'p99':>9}{'p99.9':>9}"
          f"{'calm':>7}{'p99 of all':>12}")  # fmt: skip
    for (name, (_, peak)), results in zip(sides.items(), zip(*good)):
        told = [rounds.middle(results, "calm_" + key) for key in POINTS]
        print(
            f"  {name:<22}{SHARE * peak:12,.0f}"
            + "".join(f"{us:9.1f}" for us in told)
            + f"{100 * statistics.median(map(calm_share, results)):6.0f}%{rounds.middle(results, 'p99_us'):12.1f}"
        )
    for row in rows:
        limit = "at most" if row["unit"] == "us" else "at least"
        print(
            f"  {row['case']}: {row['value']:.1f} {row['unit']} ({row['min']:.1f} to {row['max']:.1f}), "
            f"{limit} {row['target']:g}: {rounds.verdict(row)}"
        )


def curve_run(sides, runs, args, scratch):
    """{side: [(percent of its peak, {p50: us, p99: us, p99.9: us})]}, the sides in turn at each load: the
    (lower) median round's, since a second in which the machine is slow is one that no server keeps up in."""
    found = {name: [] for name in sides}
    print("latency by load, medians of calm stretches, us: " + ", ".join(CURVE_POINTS))
    for share in CURVE:
        results = [[paced(side, share, args, scratch) for side in sides.values()] for _ in range(runs)]
        for name, of_side in zip(sides, zip(*results)):
            us = {
                point: statistics.median_low(statistics.median(calm(result, key)) for result in of_side)
                for point, key in CURVE_POINTS.items()
            }
            found[name].append((round(100 * share), us))
            print(f"  {100 * share:3.0f}% {name:<22}" + "".join(f"{value:11.1f}" for value in us.values()))
    return found


def curve_rows(found, runs):
    return [
        {"name": "latency", "case": f"{name}'s {point} at {percent}% of its peak", "value": value, "min": value,
         "max": value, "unit": "us", "runs": runs, "target": None, "holds": None}
        for name, points in found.items() for percent, us in points for point, value in us.items()
    ]  # fmt: skip


def curve_plot(found, where):
    lines = {}
    for name, points in found.items():
        kept = ("p99",) if name == "ceiling" else CURVE_POINTS
        shown = "no store" if name == "ceiling" else name
        lines |= {f"{shown}, {point}": [(x, us[point]) for x, us in points] for point in kept}
    plot.curves(where, "latency-by-load", "latencies in an open loop, 50 connections", "percent of each one's peak",
                lines, y_label="us", log_x=False, log_y=True)  # fmt: skip


def run(args, scratch):
    servers.build()
    machine.hugepages_ensure()
    sides = sides_found(scratch)
    good = rounds_run(sides, args, scratch)
    rows = rows_of(sides, good)
    table(sides, good, rows)
    if args.plots:
        curve_rounds = min(args.rounds, CURVE_ROUNDS)
        found = curve_run(sides, curve_rounds, args, scratch)
        curve_plot(found, args.plots)
        rows += curve_rows(found, curve_rounds)
    return rows
