# SPDX-License-Identifier: BSD-3-Clause
"""Generated cases in the binary protocol, compared packet by packet.

CAS numbers are named by their order of appearance; a request may use those of earlier steps. What
memcached answers otherwise is not generated: bodies of unknown commands and values behind commands
that take none, where memcached loses its place (docs/protocol.md).
"""

import random
import struct
from dataclasses import dataclass

import raw_lib
from replay import Replay

HEADER = struct.Struct("!BBHBBHIIQ")
NOOP, END_OPAQUE = 0x0A, 0xFFFFFFFF
NO_CREATE = 0xFFFFFFFF
GETS, COUNTS = (0x00, 0x09, 0x0C, 0x0D, 0x1D, 0x1E, 0x23, 0x24), (0x05, 0x06, 0x15, 0x16)
HOLDS = (*GETS, 0x1C)  # the item, until the answer has left
KEYS = (b"a", b"b", b"c", b"d", b"k" * 240)
VALUES = (b"", b"0", b"7", b"99", b"100", b"18446744073709551615", b"abc", b"12 apples", b"-1",
    b"x" * 300, bytes(range(256)), b"y" * 70000)  # fmt: skip


@dataclass
class Packet:
    opcode: int
    key: bytes | None = None
    extras: bytes = b""
    value: bytes = b""
    cas: int = -1  # which of the numbers seen so far; -1: none
    opaque: int = 0
    # A header that says something else than what follows
    key_len: int | None = None

    def encode(self, prefix, numbers):
        key = b"" if self.key is None else prefix + self.key
        cas = 0
        if self.cas >= 0:
            cas = numbers[self.cas] if self.cas < len(numbers) else 1 << 62
        body = self.extras + key + self.value
        key_len = len(key) if self.key_len is None else self.key_len
        return HEADER.pack(0x80, self.opcode, key_len, len(self.extras), 0, 0, len(body),
            self.opaque, cas) + body  # fmt: skip


class Grammar:
    def __init__(self, seed, version="1.6.18"):
        self.rng = random.Random(seed)

    def pick(self, *of):
        return self.rng.choice(of)

    def cas(self):
        return self.rng.choice((-1, -1, -1, 0, 1, 2, 99))

    def exptime(self):
        return self.pick(0, 0, 0, 100, 3000, 2592000, NO_CREATE - 1, NO_CREATE, 2592001)

    def store(self):
        return Packet(self.pick(0x01, 0x01, 0x02, 0x03, 0x11, 0x12, 0x13), self.pick(*KEYS),
            struct.pack("!II", self.pick(0, 5, NO_CREATE), self.exptime()), self.pick(*VALUES),
            self.cas())  # fmt: skip

    def append(self):
        return Packet(self.pick(0x0E, 0x0F, 0x19, 0x1A), self.pick(*KEYS),
            value=self.pick(b"", b"1", b"ab"), cas=self.cas())  # fmt: skip

    def get(self):
        opcode = self.pick(*GETS)
        extras = struct.pack("!I", self.exptime()) if opcode >= 0x1D else b""
        return Packet(opcode, self.pick(*KEYS), extras, cas=self.cas())

    def count(self):
        extras = struct.pack("!QQI", self.pick(0, 1, 5, 2**64 - 1), self.pick(0, 10, 2**64 - 1),
            self.pick(0, 100, NO_CREATE, NO_CREATE, NO_CREATE - 1, 2592001))  # fmt: skip
        return Packet(self.pick(*COUNTS), self.pick(*KEYS), extras, cas=self.cas())

    def delete(self):
        return Packet(self.pick(0x04, 0x14), self.pick(*KEYS), cas=self.cas())

    def touch(self):
        return Packet(0x1C, self.pick(*KEYS), struct.pack("!I", self.exptime()), cas=self.cas())

    def other(self):
        return Packet(self.pick(NOOP, NOOP, 0x1B, 0x25, 0x30, 0x3F, 0x7F, 0xFF))

    def flush(self):
        return Packet(self.pick(0x08, 0x18), extras=self.pick(b"", bytes(4)))

    def broken(self):
        """What closes the connection."""
        return self.pick(
            Packet(0x00, b"k" * 251), Packet(0x01, b"a", value=b"x"), Packet(0x00, b"a", b"1234"),
            Packet(0x05, b"a", b"12345678"), Packet(0x00), Packet(0x04), Packet(NOOP, b"a"),
            Packet(0x00, b"a", key_len=20), Packet(0x1C, b"a"), Packet(0x0E, b"a", b"1234"),
        )  # fmt: skip

    def broken_shape(self):
        """A known command with any extras, key and value; what takes no value gets none."""
        opcode = self.pick(*range(0x0B), *range(0x0C, 0x10), *range(0x11, 0x1B), *HOLDS)
        value = b"" if opcode in HOLDS and opcode >= 0x1C else self.pick(b"", b"123")
        return Packet(opcode, self.pick(None, *KEYS), bytes(self.pick(0, 3, 4, 8, 20, 24)), value,
            self.cas())  # fmt: skip

    PRODUCTIONS = ((20, store), (8, append), (20, get), (10, count), (5, delete), (5, touch),
        (3, other), (0.5, flush), (0.5, broken),
        (0.5, broken_shape))  # fmt: skip

    def request(self, number):
        weights = [weight for weight, _ in self.PRODUCTIONS]
        packet = self.rng.choices(self.PRODUCTIONS, weights)[0][1](self)
        packet.opaque = number
        return packet

    def case(self):
        """Steps as in replay_grammar: no arithmetic behind a retrieval."""
        steps, number = [], 0
        for _ in range(16):
            steps.append([])
            for _ in range(self.rng.choice((1, 1, 2, 5, 12))):
                number += 1
                packet = self.request(number)
                if packet.opcode in COUNTS and any(p.opcode in HOLDS for p in steps[-1]):
                    steps.append([])
                steps[-1].append(packet)
        return [step for step in steps if step]


class Reader:
    """Answers, with names for CAS numbers."""

    def __init__(self, prefix):
        self.prefix, self.numbers = prefix, []

    def cas(self, number):
        if number == 0:
            return 0
        if number not in self.numbers:
            self.numbers.append(number)
        return f"cas{self.numbers.index(number)}"

    def packets(self, data):
        """What was answered but for the sentinel, readable."""
        found = []
        while len(data) >= HEADER.size:
            magic, opcode, key_len, extras_len, kind, status, body, opaque, cas = HEADER.unpack(
                data[: HEADER.size])  # fmt: skip
            if len(data) < HEADER.size + body:
                break
            rest = data[HEADER.size : HEADER.size + body].replace(self.prefix, b"~")
            data = data[HEADER.size + body :]
            if (opcode, opaque) != (NOOP, END_OPAQUE):
                found.append((magic, hex(opcode), key_len, extras_len, kind, hex(status), opaque,
                    self.cas(cas), rest if len(rest) < 80 else rest[:80] + b"..."))  # fmt: skip
        return found + ([data] if data else [])


class BinaryReplay(Replay):
    grammar = Grammar

    def outcome(self, addr, steps, server, prefix):
        client, reader, found = raw_lib.Client(addr), Reader(prefix), []
        sentinel = HEADER.pack(0x80, NOOP, 0, 0, 0, 0, 0, END_OPAQUE, 0)
        answer = HEADER.pack(0x81, NOOP, 0, 0, 0, 0, 0, END_OPAQUE, 0)
        try:
            for step in steps:
                sent = raw_lib.Pieces(b"".join(p.encode(prefix, reader.numbers) for p in step))
                for piece in sent.pieces():
                    client.send(piece)
                client.send(sentinel)
                found += reader.packets(client.read(answer, raw_lib.LIMIT_S))
                if client.closed or client.late:
                    break
        finally:
            client.sock.close()
        return raw_lib.Outcome(repr(found).encode(), client.closed, client.late)

    def spell(self, steps):
        return [f"    {step}" for step in steps]
