# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: one entry a name, each with its cases. A case is a load (lcbench's options), the
unit, and the least ratio to the peer that is asked for."""

from dataclasses import dataclass, field


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
}
