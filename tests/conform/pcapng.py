# SPDX-License-Identifier: BSD-3-Clause
"""What tcpdump does not show of a pcapng file: ways, queues, statistics."""

import struct
from dataclasses import dataclass

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
FLAGS, QUEUE = 2, 6  # options of a packet
RECEIVED, DROPPED = 4, 5  # of statistics


@dataclass
class Packet:
    time_ns: int
    data: bytes
    wire: int
    way: str
    queue: int


def blocks(data):
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0 and at + length <= len(data), "a block is cut"
        assert struct.unpack_from("<I", data, at + length - 4)[0] == length
        yield kind, data[at + 8 : at + length - 4]
        at += length


def options(data):
    found, at = {}, 0
    while at < len(data):
        code, length = struct.unpack_from("<HH", data, at)
        if code == 0:
            break
        found[code] = int.from_bytes(data[at + 4 : at + 4 + length], "little")
        at += 4 + (length + 3) // 4 * 4
    return found


def packet(body):
    _, high, low, kept, wire = struct.unpack_from("<IIIII", body)
    more = options(body[20 + (kept + 3) // 4 * 4 :])
    way = {1: "in", 2: "out"}[more[FLAGS] & 3]
    return Packet(high << 32 | low, body[20 : 20 + kept], wire, way, more[QUEUE])


class Capture:
    def __init__(self, path):
        self.size = path.stat().st_size
        found = list(blocks(path.read_bytes()))
        assert found[0][0] == SECTION
        assert [kind for kind, _ in found].count(INTERFACE) == 1
        self.packets = [packet(body) for kind, body in found if kind == PACKET]
        (counts,) = [body for kind, body in found if kind == STATISTICS]
        self.statistics_ns = struct.unpack_from("<II", counts, 4)
        self.statistics_ns = self.statistics_ns[0] << 32 | self.statistics_ns[1]
        more = options(counts[12:])
        self.received, self.dropped = more[RECEIVED], more[DROPPED]
