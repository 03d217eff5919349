# SPDX-License-Identifier: BSD-3-Clause
"""The command line of scripts/bench."""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile

import machine
import rounds
import servers
import table
from machine import Trouble
from scenarios import SCENARIOS

def scenario_run(name, args, scratch):
    if SCENARIOS[name].run:
        return SCENARIOS[name].run(args, scratch)
    rows = []
    for case in SCENARIOS[name].cases:
        print(f"{name} ({case.case})", file=sys.stderr)
        rows += rounds.case_run(name, case, args, scratch)
    return rows


def parse(argv):
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="the names")
    parser.add_argument("--json", metavar="FILE", help="write the results there")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 s instead of 5 of 3 s")
    parser.add_argument("--plots", metavar="DIR", help="plot there what has plots")
    parser.add_argument("--table", nargs="+", metavar="FILE", help="measure nothing: a table of such results")
    parser.add_argument("--keep-noisy", action="store_true", help="count disturbed rounds too")
    args = parser.parse_args(argv)
    args.rounds, args.seconds, args.warmup = (2, 1, 0.5) if args.quick else (5, 3, 1)
    unknown = [name for name in args.names if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)} (--list shows them)")
    if not args.names and not args.list and not args.table:
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
    if args.table:
        table.print_files(args.table)
        return 0
    if args.list:
        for name, scenario in SCENARIOS.items():
            print(f"{name:<13} {scenario.help}")
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
