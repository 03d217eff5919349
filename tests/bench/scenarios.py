# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: one entry a name, each with its cases. A case is a load (lcbench's options), the
unit, and the least ratio to the peer that is asked for. Scenarios of another kind run by themselves."""

from collections.abc import Callable
from dataclasses import dataclass, field

import density
import evict
import evict_speed
import hit_ratio
import lazyfree
import loss
import stack
import store_speed


@dataclass(frozen=True)
class Case:
    case: str
    load: dict  # lcbench's options without their dashes
    unit: str = "requests/s"
    peer: str = "memcached"
    target: float | None = 1.0  # ratio to the peer; None: just measured


@dataclass(frozen=True)
class Scenario:
    help: str
    cases: list = field(default_factory=list)
    run: Callable | None = None  # run(args, scratch) prints its table and returns the rows


GET = {"mode": "get", "keys": 100000, "key-size": 32, "value-size": 32}

SCENARIOS = {
    "get-udp": Scenario(
        "gets of 32 B over UDP, 64 in flight from 8 ports",
        [Case("32 B", {**GET, "proto": "udp", "connections": 8, "pipeline": 8})],
    ),
    "get-tcp": Scenario(
        "gets of 32 B over 50 TCP connections, one in flight on each",
        [Case("32 B, 50 connections", {**GET, "proto": "tcp", "connections": 50, "pipeline": 1})],
    ),
    "hit-ratio": Scenario(
        "hit ratios of lib/store on traces, beside exact LRU, S3-FIFO, memcached and redis",
        run=hit_ratio.run,
    ),
    "density": Scenario(
        "items held in 1 GiB of resident memory, beside memcached and redis",
        run=density.run,
    ),
    "lazyfree": Scenario(
        "the longest turn while 512 MiB or 20 million items are freed, beside memcached and redis",
        run=lazyfree.run,
    ),
    "evict-speed": Scenario(
        "sets, and gets' latencies, at the limit against below it; memcached's too",
        run=evict_speed.run,
    ),
    "shrink": Scenario(
        "maxmemory cut from 4 GiB to 1 GiB under load; memcached and redis too",
        run=evict.shrink_run,
    ),
    "store-speed": Scenario(
        "lib/store alone: gets, sets and deletes a second on ten million items",
        run=store_speed.run,
    ),
    "tcp-loss": Scenario(
        "the kernel's TCP at the other end, with loss, reordering, repetition and delay",
        run=loss.run,
    ),
    "tcp-conns": Scenario(
        "a million idle connections: bytes of each, and a get on all of them",
        run=stack.conns_run,
    ),
    "tcp-churn": Scenario(
        "connections opened, used for one get and closed; memcached's too",
        run=stack.churn_run,
    ),
    "syn-flood": Scenario(
        "a million SYNs a second from nobody beside half of the peak load",
        run=stack.flood_run,
    ),
}
