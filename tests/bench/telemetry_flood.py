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
    took = {command: [] for command in ASK}
    with Telemetry(process.pid) as telemetry:
        for _ in range(times):
            for command in ASK:
                began = time.monotonic()
                telemetry.ask(command)
                if running():
                    took[command].append(1000 * (time.monotonic() - began))
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
        yield {
            "name": "telemetry",
            "case": command,
            "value": statistics.median(ms),
            "min": min(ms),
            "max": max(ms),
            "runs": len(ms),
            "unit": "ms to answer",
            "target": MOST_MS,
            "holds": max(ms) <= MOST_MS,
        }


def run(args, scratch):
    servers.build()
    machine.hugepages_ensure()
    times, seconds = (TIMES_QUICK, SECONDS_QUICK) if args.quick else (TIMES, SECONDS)
    asked, took = load_run(seconds, args, scratch, lambda process, running: each_asked(process, running, times))
    quiet, _ = load_run(seconds, args, scratch, lambda process, running: None)
    under, count = load_run(seconds, args, scratch, flooded)
    rows = list(answer_rows(took))
    print(f"telemetry: each command asked {times} times while {asked['requests_per_s']:,.0f} gets/s are served")
    print(f"  {'ms to answer':<42}{'min':>8}{'median':>8}{'max':>8}")
    for row in rows:
        print(f"  {row['case']:<42}{row['min']:8.2f}{row['value']:8.2f}{row['max']:8.2f}"
              f"  at most {MOST_MS:.0f}: {rounds.verdict(row)}")  # fmt: skip
    ours, alone = under["requests_per_s"], quiet["requests_per_s"]
    print(f"  {count:,} random or oversized requests: no command fails afterwards, no get is wrong;"
          f" {ours:,.0f} gets/s, {100 * ours / alone:.0f}% of {alone:,.0f}")  # fmt: skip
    rows.append(
        {"name": "telemetry", "case": f"gets while {HANDS} connections flood the socket", "value": ours,
         "min": ours, "max": ours, "runs": 1, "unit": "requests/s", "peer": "without", "peer_value": alone,
         "ratio": ours / alone, "target": None, "holds": None, "detail": {"requests": count}}
    )  # fmt: skip
    return rows
