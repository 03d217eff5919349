# SPDX-License-Identifier: BSD-3-Clause
"""Instructions that a get of 32 B over UDP takes in user space, the driver's among them: counted one
by one (bench_instructions)."""

import contextlib
import json
import os
import subprocess

import servers
from machine import Trouble

PROGRAM = os.path.join(servers.BUILD, "tests", "bench", "bench_instructions")
MOST = 350
BURSTS = 10


def lcached_counts(bursts, scratch, *words):
    """Instructions a get, by whose they are."""
    link = os.path.join(scratch, "instructions.sock")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(link)
    done = subprocess.run([PROGRAM, str(bursts), link, *words], capture_output=True, text=True)
    if done.returncode:
        raise Trouble(done.stderr.strip())
    return json.loads(done.stdout)


def run(args, scratch):
    servers.programs_build("tests/bench/bench_instructions")
    ours = lcached_counts(2 if args.quick else BURSTS, scratch)
    value = ours["server"] + ours["driver"] + ours["libraries"]
    holds = value <= MOST
    print(f"instructions: of a get of 32 B, in bursts of 32 ({ours['gets']} counted)")
    print(
        f"  lcached    {value:7,.0f}  ({ours['server']:,.0f} its own, {ours['driver']:,.0f} of the"
        f" virtio-user driver, {ours['libraries']:,.0f} of libraries), at most {MOST}:"
        f" {'holds' if holds else 'MISSED'}"
    )
    return [
        {
            "name": "instructions",
            "case": "32 B",
            "value": value,
            "unit": "instructions/get",
            "target": MOST,
            "holds": holds,
            "detail": ours,
        }
    ]
