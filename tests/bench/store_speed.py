# SPDX-License-Identifier: BSD-3-Clause
"""lib/store alone on one core (bench_store): operations a second on ten million items, by the kind of
pages that they lie in. What a server could do if its network cost nothing."""

import json
import os
import statistics
import subprocess

import servers

PROGRAM = os.path.join(servers.BUILD, "tests", "bench", "bench_store")
LEAST = {"get": 20e6, "set": 8e6}  # operations a second
PAGES = ("pages", "thp", "huge")


def measured(items, rounds, pages):
    """{kind: operations a second by round}, or None where there are no such pages."""
    command = [PROGRAM, str(items), str(rounds), pages]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0 and pages == "huge":
        return None
    done.check_returncode()
    rates = {}
    for line in done.stdout.splitlines():
        told = json.loads(line)
        rates.setdefault(told["case"], []).append(1e9 / told["ns"])
    return rates


def row(kind, pages, rates):
    least = LEAST.get(kind)
    value = statistics.median(rates)
    return {
        "name": "store",
        "case": f"{kind}, {pages}",
        "value": value,
        "min": min(rates),
        "max": max(rates),
        "unit": "operations/s",
        "target": least,
        "holds": None if least is None else value >= least,
    }


def run(args, scratch):
    items = 1000000 if args.quick else 10000000
    items -= items % 32
    servers.programs_build("tests/bench/bench_store")
    print(f"store: {items:,} items with keys and values of 32 B, one core, millions a second")
    print("  median (min to max) of the rounds; one round alone for new keys")
    rows = []
    for pages in PAGES:
        found = measured(items, args.rounds, pages)
        if found is None:
            print(f"  {pages:<6} none are reserved (/proc/sys/vm/nr_hugepages)")
            continue
        for kind, rates in found.items():
            rows.append(row(kind, pages, rates))
            holds = rows[-1]["holds"]
            verdict = "" if holds is None else "  holds" if holds else "  MISSED"
            least = f"  at least {LEAST[kind] / 1e6:.0f}" if kind in LEAST else ""
            print(
                f"  {pages:<6} {kind:<26} {rows[-1]['value'] / 1e6:6.2f} "
                f"({min(rates) / 1e6:.2f} to {max(rates) / 1e6:.2f}){least}{verdict}"
            )
    return rows
