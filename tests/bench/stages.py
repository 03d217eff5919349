# SPDX-License-Identifier: BSD-3-Clause
"""Where a request's busy cycles go: samples of the worker's core by perf (cpu-clock, which needs no
hardware counter), by the module of the innermost line of ours that was being executed."""

import collections
import os
import shutil
import subprocess
import tempfile

import busy
import machine
import plot
import rounds
import servers
from machine import Trouble
from said import measuring_wait

BASE = {"mode": "get", "proto": "tcp", "connections": 50, "keys": 100000, "key-size": 32, "value-size": 32}
LOADS = {
    "get-udp": {**BASE, "proto": "udp", "connections": 8, "pipeline": 8},
    "get-tcp": BASE,
    "get-pipelined (mg x 16)": {**BASE, "pipeline": 16, "commands": "meta"},
    "get-100k": {**BASE, "keys": 1000, "value-size": 100 << 10},
    "set-pipelined (x 16)": {**BASE, "mode": "set", "pipeline": 16},
}
HZ = 5000
STAGES = {  # of a module
    "store": "find, item", "exec": "execute", "proto": "parse, compose", "tcp": "TCP", "net": "IP, UDP, Ethernet",
    "port": "driver, pools", "worker": "worker's turn", "mem": "find, item", "base": "worker's turn",
}  # fmt: skip
CHECKSUMS, DRIVER, COPIES, REST, IDLE = "checksums", "driver, pools", "libc: copies", "rest", "idle"
ORDER = (DRIVER, "IP, UDP, Ethernet", CHECKSUMS, "TCP", "parse, compose", "execute", "find, item",
         "worker's turn", COPIES, REST)  # fmt: skip


def program_base(pid):
    with open(f"/proc/{pid}/maps") as f:
        for line in f:
            if line.rstrip().endswith("/lcached"):
                return int(line.split("-")[0], 16)
    raise Trouble("lcached is not in its own maps")


def busiest_thread(pid):
    def ran(task):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            return int(f.read().split()[0])

    return max(os.listdir(f"/proc/{pid}/task"), key=ran)


def samples(load, args, scratch):
    """(Counter of (object, address in it), lcbench's result with the server's busy time)"""
    data = os.path.join(scratch, "perf.data")
    found = {}

    def sampled(process, seconds):
        watch = busy.Worker(process, seconds)

        def meanwhile(generator):
            measuring_wait(generator)
            found["base"] = program_base(process.pid)
            command = ["perf", "record", "-q", "-o", data, "-e", "cpu-clock:u", "-F", str(HZ)]
            command += ["-t", busiest_thread(process.pid), "sleep", str(0.9 * seconds)]
            perf = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            watch.meanwhile(generator)
            perf.wait()

        return watch, meanwhile

    with servers.lcached_server(scratch) as (process, where):
        watch, meanwhile = sampled(process, args.seconds)
        result = servers.generator(servers.own_load(load), args.seconds, args.warmup, where, process, meanwhile)
        result |= watch.result(result)
    command = ["perf", "script", "-i", data, "-F", "ip,dso"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts = collections.Counter()
    for line in text.splitlines():
        address, _, where = line.strip().partition(" ")
        name = os.path.basename(where.strip(" ()"))
        counts[name, int(address, 16) - (found["base"] if name == "lcached" else 0)] += 1
    return counts, rounds.checked(result)


def stage_of_frames(frames):
    """frames: (function, file:line), the innermost first."""
    if any("cksum" in function for function, _ in frames[:2]):
        return CHECKSUMS
    if any(function == "back_off" for function, _ in frames):
        return IDLE
    for _, place in frames:
        if "xxhash" in place:
            return STAGES["store"]
        parts = place.split("/")
        if "lib" in parts[:-1] and parts[parts.index("lib") + 1] in STAGES:
            return STAGES[parts[parts.index("lib") + 1]]
    return DRIVER if any("/rte_" in place for _, place in frames) else REST


def lines_of(addresses):
    """{address: its frames}, by addr2line."""
    asked = "".join(f"{address:#x}\n" for address in addresses)
    command = ["addr2line", "-a", "-f", "-i", "-e", servers.LCACHED]
    out = subprocess.run(command, input=asked, capture_output=True, text=True, check=True).stdout
    frames, lines = {}, iter(out.splitlines())
    for line in lines:
        if line.startswith("0x"):
            current = frames.setdefault(int(line, 16), [])
        else:
            current.append((line, next(lines)))
    return frames


def stage_counts(counts):
    frames = lines_of(sorted({address for name, address in counts if name == "lcached"}))
    stages = collections.Counter()
    for (name, address), n in counts.items():
        if name == "lcached":
            stages[stage_of_frames(frames.get(address, []))] += n
        elif name.startswith("librte_"):
            stages[DRIVER] += n
        elif name == "[vdso]":
            stages[STAGES["worker"]] += n  # the clock, once a turn
        else:
            stages[COPIES if name.startswith("libc") else REST] += n
    del stages[IDLE]
    return stages


def cycles_by_stage(load, args, scratch):
    counts, result = samples(load, args, scratch)
    cycles = rounds.cycles([result], result["tsc_hz"])
    if not counts or cycles is None:
        raise Trouble("perf has seen nothing of the worker")
    stages = stage_counts(counts)
    whole = sum(stages.values())
    return {stage: cycles * stages[stage] / whole for stage in ORDER}, result


def run(args, scratch):
    if not shutil.which("perf") or not shutil.which("addr2line"):
        raise Trouble("perf and addr2line are needed (linux-perf, binutils)")
    servers.build()
    machine.hugepages_ensure()
    found = {}
    rows = []
    print(f"stages: busy cycles of the time-stamp counter a request, {HZ} samples a second")
    for name, load in LOADS.items():
        with tempfile.TemporaryDirectory(dir=scratch) as place:
            found[name], result = cycles_by_stage(load, args, place)
        whole = sum(found[name].values())
        print(f"  {name}: {whole:,.0f}, {result['requests_per_s']:,.0f} requests/s, server busy {result['server_busy']:.0%}")
        for stage, cycles in found[name].items():
            print(f"    {stage:<24}{cycles:8,.0f} {100 * cycles / whole:5.0f}%")
        rows.append({"name": "stages", "case": name, "value": whole, "unit": "cycles/request", "target": None,
                     "holds": None, "runs": 1, "stages": found[name]})  # fmt: skip
    if args.plots:
        small = {name: stages for name, stages in found.items() if name != "get-100k"}
        groups = [(name, list(stages.items())) for name, stages in small.items()]
        plot.bars(args.plots, "cycles-by-stage", "busy cycles a request", groups, y_label="cycles")
    return rows
