# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: one entry a name, each with its cases. A case is a load (lcbench's options), the
unit, and what is asked for: the least ratio to the peer, or share of lcbench's ceiling. Scenarios of another kind run by themselves."""

from collections.abc import Callable
from dataclasses import dataclass, field

import cross_shard
import curves
import defrag
import density
import evict
import evict_speed
import expire
import hit_ratio
import instructions
import latency
import lazyfree
import loss
import scale
import servers
import snapshot
import stack
import stages
import store_speed
import telemetry_flood
from rounds import Case


@dataclass(frozen=True)
class Scenario:
    help: str
    cases: list = field(default_factory=list)
    run: Callable | None = None  # run(args, scratch) prints its table and returns the rows


ITEMS = {"keys": 100000, "key-size": 32, "value-size": 32}
GET = {**ITEMS, "mode": "get", "proto": "tcp", "connections": 50}
SET = {**GET, "mode": "set"}
LARGE = 100 << 10

SCENARIOS = {
    "get-udp": Scenario(
        "gets of 32 B over UDP, 64 in flight from 8 ports",
        [
            Case(
                "32 B",
                {**GET, "proto": "udp", "connections": 8, "pipeline": 8},
                target=25.0,
                of_ceiling=0.5,
            )
        ],
    ),
    "instructions": Scenario(
        "instructions of a get of 32 B over UDP, the driver's included",
        run=instructions.run,
    ),
    "get-tcp": Scenario(
        "gets of 32 B over 50 TCP connections, one in flight on each",
        [Case("32 B, 50 connections", GET, target=12.0)],
    ),
    "get-tcp-1000": Scenario(
        "the same over 1,000 connections",
        [Case("32 B, 1,000 connections", {**GET, "connections": 1000}, target=12.0)],
    ),
    "get-binary": Scenario(
        "get-tcp in the binary protocol",
        [Case("32 B, 50 connections", {**GET, "commands": "binary"}, target=12.0)],
    ),
    "get-pipelined": Scenario(
        "gets over 50 connections, 16 in flight on each; mg, as memcached 1.6.18 answers get one by one",
        [
            Case("mg, 16 in flight", {**GET, "pipeline": 16, "commands": "meta"}, target=8.0),
            Case("get, 16 in flight", {**GET, "pipeline": 16}, target=8.0),
        ],
    ),
    "multiget": Scenario(
        "gets of 100 keys over 50 connections",
        [Case("100 keys of 32 B", {**GET, "multi": 100}, unit="keys/s", target=8.0)],
    ),
    "set-tcp": Scenario(
        "sets of 32 B over 50 connections, one in flight on each",
        [Case("32 B, 50 connections", SET, target=12.0)],
    ),
    "set-pipelined": Scenario(
        "the same, 16 in flight on each",
        [Case("32 B, 16 in flight", {**SET, "pipeline": 16}, target=8.0)],
    ),
    "get-1k": Scenario(
        "gets of 1 KiB over 50 connections",
        [Case("1 KiB", {**GET, "value-size": 1024}, target=10.0)],
    ),
    "get-100k": Scenario(
        "gets of 100 KiB over 50 connections, in bytes of values",
        [
            Case(
                "100 KiB",
                {**GET, "keys": 1000, "value-size": LARGE},
                unit="bytes/s",
                target=None,
                of_ceiling=0.8,
                ceiling=servers.link_run,
                ceiling_name="raw 1,514 B frames",
            ),
            Case(
                "100 KiB, frames of up to 64 KiB",
                {**GET, "keys": 1000, "value-size": LARGE, "link": servers.BULK},
                unit="bytes/s",
                target=None,
                of_ceiling=0.8,
                ceiling=servers.link_run,
                ceiling_name="raw 65,226 B frames",
            ),
        ],
    ),
    "latency": Scenario(
        "latencies in an open loop at 70% of the peak; memcached's at its own",
        run=latency.run,
    ),
    "items": Scenario(
        "gets over TCP with 100 million items against 100 thousand",
        run=scale.items_run,
    ),
    "conns": Scenario(
        "gets over 100,000 TCP connections against 50",
        run=scale.conns_run,
    ),
    "cross-shard": Scenario(
        "two workers, gets over UDP, and gets and sets over TCP, of keys that are all the other one's, "
        "against keys of its own",
        run=cross_shard.run,
    ),
    "curves": Scenario(
        "throughput by value size, connections, items and pipelining, beside memcached's; for plots",
        run=curves.run,
    ),
    "stages": Scenario(
        "busy cycles a request by stage, from perf's samples; for a plot",
        run=stages.run,
    ),
    "hit-ratio": Scenario(
        "hit ratios of lib/store on traces, beside exact LRU, S3-FIFO, memcached and redis",
        run=hit_ratio.run,
    ),
    "density": Scenario(
        "items held in 1 GiB of resident memory, beside memcached and redis",
        run=density.run,
    ),
    "snapshot": Scenario(
        "a snapshot of 4 GiB under load, and its restore, beside redis' BGSAVE",
        run=snapshot.run,
    ),
    "lazyfree": Scenario(
        "the longest turn while 512 MiB or 20 million items are freed, beside memcached and redis",
        run=lazyfree.run,
    ),
    "evict-speed": Scenario(
        "sets, and gets' latencies, at the limit against below it; memcached's too",
        run=evict_speed.run,
    ),
    "expire-storm": Scenario(
        "a million keys due in one second under a full load of gets; memcached and redis too",
        run=expire.storm_run,
    ),
    "expire-idle": Scenario(
        "instructions of a get beside ten million keys with far deadlines, against without deadlines",
        run=expire.idle_run,
    ),
    "shrink": Scenario(
        "maxmemory cut from 4 GiB to 1 GiB under load; memcached and redis too",
        run=evict.shrink_run,
    ),
    "store": Scenario(
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
    "defrag": Scenario(
        "fragmentation, and its end under load; memcached's slab rebalancer beside it",
        run=defrag.run,
    ),
    "defrag-hugepages": Scenario(
        "2 MiB pages held for what is live, after the same",
        run=defrag.run_hugepages,
    ),
    "telemetry": Scenario(
        "answers on the telemetry socket under full load, and ten thousand random requests",
        run=telemetry_flood.run,
    ),
}
