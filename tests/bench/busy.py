# SPDX-License-Identifier: BSD-3-Clause
"""How busy a server was while it was measured. `meanwhile` is for servers.generator: it watches most of
the measurement, from its second tenth on."""

import os
import sys
import time

from said import measuring_wait

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "conform"))

from telemetry import Telemetry  # noqa: E402 (the path comes first)

BEGIN, END = 0.1, 0.9  # of the measurement


class Watched:
    def __init__(self, process, seconds):
        self.process, self.seconds, self.samples = process, seconds, []

    def meanwhile(self, generator):
        measuring_wait(generator)
        start = time.monotonic()
        for part in (BEGIN, END):
            time.sleep(max(0, start + part * self.seconds - time.monotonic()))
            if generator.poll() is None:
                self.samples.append(self.sample())

    def result(self, result):
        """`server_busy`: its share of the time; and microseconds of its core a request."""
        if len(self.samples) < 2:
            return {"server_busy": None, "server_us_a_request": None}
        busy_s, seconds = (b - a for a, b in zip(*self.samples))
        requests = result["requests_per_s"] * seconds
        return {
            "server_busy": busy_s / seconds,
            "server_us_a_request": 1e6 * busy_s / requests if requests else None,
        }


class Worker(Watched):
    """lcached's worker counts the time of turns that found work. It polls without end: what the
    kernel counts says nothing."""

    def sample(self):
        with Telemetry(self.process.pid) as telemetry:
            worker = telemetry.ask("/lcached/worker,0")
        return worker["busy_us"] / 1e6, time.monotonic()


class Process(Watched):
    """Time of all its threads, as the kernel counts it: ticks of 10 ms."""

    def sample(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            words = f.read().rpartition(")")[2].split()
        ticks = int(words[11]) + int(words[12])
        return ticks / os.sysconf("SC_CLK_TCK"), time.monotonic()
