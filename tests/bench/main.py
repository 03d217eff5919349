# SPDX-License-Identifier: BSD-3-Clause
"""Rounds, tables, JSON. Both sides are measured in turn, A B A B, so that what the machine does
meanwhile falls on both; the ratio is taken by round."""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile

import machine
import servers
from machine import Trouble
from scenarios import SCENARIOS

STEAL_MAX_PERCENT = 2.0
FOREIGN_MAX_PERCENT = 5.0
CORE_SHARE_MIN = 0.95
ATTEMPTS_A_ROUND = 3


def noise(result):
    """Why a run does not count, or None."""
    if result["stolen_percent"] > STEAL_MAX_PERCENT:
        return f"{result['stolen_percent']:.1f}% of the cores stolen"
    if result["foreign_percent"] > FOREIGN_MAX_PERCENT:
        return f"others had {result['foreign_percent']:.0f}% of the server's core"
    if result["generator_core_share"] < CORE_SHARE_MIN:
        return f"the generator had {100 * result['generator_core_share']:.0f}% of its core"
    return None


def run_once(side, case, args, scratch):
    result = side(case.load, args.seconds, args.warmup, scratch)
    if result["misses"] or result["errors"]:
        raise Trouble(f"{result['misses']} misses, {result['errors']} errors")
    return result, noise(result)


def rounds_run(case, args, scratch):
    """Pairs (ours, peer's) of results that count."""
    pairs = []
    for _ in range(args.rounds * ATTEMPTS_A_ROUND):
        ours, bad = run_once(servers.lcached_run, case, args, scratch)
        peer, peer_bad = run_once(servers.PEERS[case.peer], case, args, scratch)
        bad = bad or peer_bad
        ratio = ours["requests_per_s"] / peer["requests_per_s"]
        note = f"not counted: {bad}" if bad and not args.keep_noisy else (bad or "")
        print(
            f"  {ours['requests_per_s']:12,.0f} {peer['requests_per_s']:12,.0f} {ratio:8.2f}  {note}",
            file=sys.stderr,
        )
        if not bad or args.keep_noisy:
            pairs.append((ours, peer))
        if len(pairs) == args.rounds:
            return pairs
    if not pairs:
        raise Trouble("no round was quiet enough to count (--keep-noisy counts them all)")
    return pairs


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summary(name, case, pairs):
    ours = spread([a["requests_per_s"] for a, _ in pairs])
    peer = spread([b["requests_per_s"] for _, b in pairs])
    ratio = spread([a["requests_per_s"] / b["requests_per_s"] for a, b in pairs])
    return {
        "name": name,
        "case": case.case,
        "value": ours["median"],
        "unit": case.unit,
        "min": ours["min"],
        "max": ours["max"],
        "runs": len(pairs),
        "peer": case.peer,
        "peer_value": peer["median"],
        "peer_min": peer["min"],
        "peer_max": peer["max"],
        "ratio": ratio["median"],
        "ratio_min": ratio["min"],
        "ratio_max": ratio["max"],
        "target": case.target,
        "holds": None if case.target is None else ratio["median"] > case.target,
        "detail": [{"lcached": a, case.peer: b} for a, b in pairs],
    }


def side_line(who, row, low, high, results):
    def middle(key):
        return statistics.median(r[key] for r in results)

    print(
        f"  {who:<10} {row:12,.0f} {low:12,.0f} {high:12,.0f}"
        f"{middle('p50_us'):10.1f} {middle('p99_us'):9.1f} {middle('p999_us'):9.1f}"
        f"{100 * middle('generator_busy'):9.0f}%"
    )


def table(row, pairs):
    holds = {True: "holds", False: "MISSED", None: "no target"}[row["holds"]]
    print(f"{row['name']} ({row['case']}), {row['unit']}, {row['runs']} rounds")
    print(
        f"  {'':<10} {'median':>12} {'min':>12} {'max':>12}"
        f"{'p50 us':>10} {'p99 us':>9} {'p99.9 us':>9}{'generator':>10}"
    )
    side_line("lcached", row["value"], row["min"], row["max"], [a for a, _ in pairs])
    side_line(
        row["peer"], row["peer_value"], row["peer_min"], row["peer_max"], [b for _, b in pairs]
    )
    print(
        f"  ratio by round {row['ratio']:.2f} ({row['ratio_min']:.2f} to {row['ratio_max']:.2f}), "
        f"target above {row['target']}: {holds}"
    )


def scenario_run(name, args, scratch):
    if SCENARIOS[name].run:
        return SCENARIOS[name].run(args, scratch)
    rows = []
    for case in SCENARIOS[name].cases:
        print(f"{name} ({case.case}): lcached, {case.peer}, ratio", file=sys.stderr)
        pairs = rounds_run(case, args, scratch)
        row = summary(name, case, pairs)
        table(row, pairs)
        rows.append(row)
    return rows


def parse(argv):
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="the names")
    parser.add_argument("--json", metavar="FILE", help="write the results there")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 s instead of 5 of 3 s")
    parser.add_argument("--plots", metavar="DIR", help="plot there what has plots")
    parser.add_argument("--keep-noisy", action="store_true", help="count disturbed rounds too")
    args = parser.parse_args(argv)
    args.rounds, args.seconds, args.warmup = (2, 1, 0.5) if args.quick else (5, 3, 1)
    unknown = [name for name in args.names if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)} (--list shows them)")
    if not args.names and not args.list:
        parser.error("name a scenario (--list shows them)")
    return args


def measure(args):
    rows = []
    machine.check()
    if not shutil.which("memcached"):
        subprocess.run(["scripts/setup", "test"], cwd=servers.ROOT, check=True)
    if any(not SCENARIOS[name].run for name in args.names):
        servers.build()
        machine.hugepages_ensure()
    with tempfile.TemporaryDirectory(prefix="lcached-bench-") as scratch:
        for name in args.names:
            rows += scenario_run(name, args, scratch)
    return rows


def main(argv):
    args = parse(argv)
    if args.list:
        for name, scenario in SCENARIOS.items():
            print(f"{name:<12} {scenario.help}")
        return 0
    try:
        rows = measure(args)
    except (Trouble, subprocess.SubprocessError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if args.json:
        with open(args.json, "w") as f:
            json.dump(rows, f, indent=1)
            f.write("\n")
    return 0 if all(row["holds"] is not False for row in rows) else 1
