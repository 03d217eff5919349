# SPDX-License-Identifier: BSD-3-Clause
"""What it costs that a key belongs to another worker (bench_cross_shard): two workers on both cores, fed by
a source inside the process, with keys of their own and with keys that are all the other one's."""

import json
import os
import statistics
import subprocess
import sys

import machine
import servers
from machine import Trouble

PROGRAM = os.path.join(servers.BUILD, "tests", "bench", "bench_cross_shard")
LEAST = 0.6  # of the local rate
KEYS, IN_FLIGHT = 100000, 256  # of each worker; in flight over UDP
CASES = {
    "udp-get": "gets over UDP",
    "tcp-mg": "mg over TCP, 16 pipelined",
    "tcp-get": "get over TCP, 16 pipelined",
    "tcp-multiget": "keys of gets of 100 over TCP",
    "tcp-set": "sets over TCP, 16 pipelined",
}
SHARE_LEAST = 0.95  # of a core; a worker that had less does not count
ATTEMPTS_A_ROUND = 3


def measured(case, rounds, ms):
    """Rounds of (local, crossing), as the program tells of them."""
    command = [PROGRAM, case, str(KEYS), str(IN_FLIGHT), str(ms), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Trouble(done.stderr.strip())
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return list(zip(told[::2], told[1::2]))


def quiet(pair):
    return all(min(side["share"]) >= SHARE_LEAST for side in pair)


def good_rounds(args, case):
    """As many as were asked for; those in which a worker lost its core are taken anew."""
    good = []
    for _ in range(ATTEMPTS_A_ROUND):
        found = measured(case, args.rounds - len(good), args.seconds * 1000)
        good += [pair for pair in found if args.keep_noisy or quiet(pair)]
        print(f"  {case}: {len(good)} of {args.rounds} rounds count", file=sys.stderr)
        if len(good) == args.rounds:
            break
    if not good:
        raise Trouble("no round was quiet enough to count (--keep-noisy counts them all)")
    return good


def rates(good, side):
    """Answers a second and worker, a round."""
    return [statistics.mean(pair[side]["rate"]) for pair in good]


def summary(case, good):
    local, crossing = rates(good, 0), rates(good, 1)
    ratio = [b / a for a, b in zip(local, crossing)]
    tsc_hz = good[0][0]["tsc_hz"]
    more = [tsc_hz / b - tsc_hz / a for a, b in zip(local, crossing)]
    return {
        "name": "cross-shard",
        "case": f"{CASES[case]}, 32 B, every key the other worker's",
        "value": statistics.median(crossing),
        "min": min(crossing),
        "max": max(crossing),
        "unit": "requests/s a worker",
        "runs": len(good),
        "peer": "keys of its own",
        "peer_value": statistics.median(local),
        "peer_min": min(local),
        "peer_max": max(local),
        "ratio": statistics.median(ratio),
        "ratio_min": min(ratio),
        "ratio_max": max(ratio),
        "crossing_cycles": statistics.median(more),
        "target": LEAST,
        "holds": statistics.median(ratio) >= LEAST,
        "detail": [{"local": a, "crossing": b} for a, b in good],
    }


def show(case, row):
    print(f"cross-shard, {CASES[case]}, of 32 B, millions a second and worker")
    for who, key in ((row["peer"], "peer_"), ("the other one's", "")):
        value, least, most = (row[key + what] / 1e6 for what in ("value", "min", "max"))
        print(f"  {who:<16} {value:6.2f} ({least:.2f} to {most:.2f})")
    print(
        f"  ratio by round {row['ratio']:.2f} ({row['ratio_min']:.2f} to {row['ratio_max']:.2f}), "
        f"at least {LEAST:g}: {'holds' if row['holds'] else 'MISSED'}; "
        f"a crossing takes {row['crossing_cycles']:,.0f} cycles more"
    )


def run(args, scratch):
    machine.hugepages_ensure()
    servers.programs_build("tests/bench/bench_cross_shard")
    rows = []
    for case in CASES:
        row = summary(case, good_rounds(args, case))
        show(case, row)
        rows.append(row)
    return rows
