# SPDX-License-Identifier: BSD-3-Clause
"""The telemetry socket under full load: how long each command's answer takes, and what ten thousand
random or oversized requests do to those who are served."""

import os
import statistics
import sys
import threading
import time

import machine
import rounds
import servers
from said import measuring_wait

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "conform"))

from nonsense import ASK, flood  # noqa: E402 (the path comes first)
from telemetry import Telemetry, socket_paths  # noqa: E402

LOAD = {"mode": "get", "proto": "tcp", "connections": 50, "keys": 100000, "key-size": 32, "value-size": 32}
DUMP, START, STOP = (
    "/lcached/flight/dump",
    f"/lcached/capture/start,file=bench-{os.getpid()}.pcapng",
    "/lcached/capture/stop",
)
WRITE = [DUMP, START, STOP]
WORK = [START, STOP]  # every frame meanwhile goes to the disk, and the answer waits for the last
MOST_MS = 50.0
REQUESTS = 10_000
HANDS = 6
TIMES, TIMES_QUICK = 20, 5
SECONDS, SECONDS_QUICK = 10, 5


def load_run(seconds, args, scratch, beside):
    """lcbench at full speed, and what `beside` returns, which runs meanwhile; both are checked."""
    found = []

    def meanwhile(generator):
        measuring_wait(generator)
        found.append(beside(process, lambda: generator.poll() is None))

    with servers.lcached_server(scratch) as (process, where):
        load = servers.own_load(LOAD)
        result = servers.generator(load, seconds, args.warmup, where, process, meanwhile)
        with Telemetry(process.pid) as telemetry:
            for command in ASK:
                telemetry.ask(command)
    return rounds.checked(result), found[0]


def each_asked(process, running, times):
    """Milliseconds of every answer that came while the load ran, by command."""
    took = {command: [] for command in ASK + WRITE}
    with Telemetry(process.pid) as telemetry:
        for _ in range(times):
            for command in took:
                began = time.monotonic()
                answer = telemetry.ask(command)
                if running():
                    took[command].append(1000 * (time.monotonic() - began))
                if command in (DUMP, STOP):
                    os.unlink(answer["file"])
    if not all(took.values()):
        raise machine.Trouble("the load ended before every command was asked")
    return took


def flooded(process, running):
    """How many requests were sent, by several at once, until the load ended."""
    faults, asked = [], []
    path = socket_paths(process.pid)[0]

    def hand(seed):
        asked.append(flood(path, seed, REQUESTS // HANDS + 1, faults, running))

    threads = [threading.Thread(target=hand, args=(seed,)) for seed in range(HANDS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise machine.Trouble(f"the socket failed: {faults[0]!r}")
    return sum(asked)


def answer_rows(took):
    for command, ms in took.items():
        most = None if command in WORK else MOST_MS
        yield {
            "name": "telemetry",
            "case": command.partition(",file")[0],
            "value": statistics.median(ms),
            "min": min(ms),
            "max": max(ms),
            "runs": len(ms),
            "unit": "ms to answer",
            "target": most,
            "holds": most and max(ms) <= most,
        }


def flood_row(rows, pairs):
    """Every round's gets a second with the flood and without."""
    ours, alone = (statistics.median(side) for side in list(zip(*pairs))[:2])
    ratios = [a / b for a, b, _ in pairs]
    count = sum(count for _, _, count in pairs)
    print(f"  {count:,} random or oversized requests: every command answers afterwards, no get is wrong;"
          f" {ours:,.0f} gets/s of {alone:,.0f}: {statistics.median(ratios):.2f}"
          f" ({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip
    rows.append(
        {"name": "telemetry", "case": f"gets while {HANDS} connections flood the socket", "value": ours,
         "min": min(a for a, _, _ in pairs), "max": max(a for a, _, _ in pairs), "runs": len(pairs),
         "unit": "requests/s", "peer": "without", "peer_value": alone, "ratio": statistics.median(ratios),
         "ratio_min": min(ratios), "ratio_max": max(ratios), "target": None, "holds": None,
         "detail": {"requests": count}}
    )  # fmt: skip


def run(args, scratch):
    servers.build()
    machine.hugepages_ensure()
    times, seconds = (TIMES_QUICK, SECONDS_QUICK) if args.quick else (TIMES, SECONDS)
    asked, took = load_run(seconds, args, scratch, lambda process, running: each_asked(process, running, times))
    pairs = []
    for _ in range(args.rounds):
        quiet, _ = load_run(seconds, args, scratch, lambda process, running: None)
        under, count = load_run(seconds, args, scratch, flooded)
        pairs.append((under["requests_per_s"], quiet["requests_per_s"], count))
    rows = list(answer_rows(took))
    print(f"telemetry: each command asked {times} times while {asked['requests_per_s']:,.0f} gets/s are served")
    print(f"  {'ms to answer':<42}{'min':>8}{'median':>8}{'max':>8}")
    for row in rows:
        print(f"  {row['case']:<42}{row['min']:8.2f}{row['value']:8.2f}{row['max']:8.2f}"
              + (f"  at most {row['target']:.0f}: {rounds.verdict(row)}" if row["target"] else ""))  # fmt: skip
    flood_row(rows, pairs)
    return rows
