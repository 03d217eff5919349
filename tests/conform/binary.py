# SPDX-License-Identifier: BSD-3-Clause
"""Packets of memcached's binary protocol, to build and to read."""

import struct

HEADER = struct.Struct("!BBHBBHIIQ")
OPAQUE = 0x0A0B0C0D

GET, SET, ADD, REPLACE, DELETE, INCR, DECR, QUIT, FLUSH, GETQ = range(0x0A)
NOOP, VERSION, GETK, GETKQ, APPEND, PREPEND, STAT = range(0x0A, 0x11)
SETQ, ADDQ, REPLACEQ, DELETEQ, INCRQ, DECRQ, QUITQ, FLUSHQ = range(0x11, 0x19)
APPENDQ, PREPENDQ, VERBOSITY, TOUCH, GAT, GATQ = range(0x19, 0x1F)
SASL_LIST, SASL_AUTH, SASL_STEP, GATK, GATKQ = range(0x20, 0x25)

OK, NOT_FOUND, EXISTS, TOO_LARGE, INVALID, NOT_STORED, NON_NUMERIC = range(7)
AUTH_ERROR, AUTH_CONTINUE, UNKNOWN = 0x20, 0x21, 0x81
DO_NOT_CREATE = 0xFFFFFFFF


def packet(opcode, key=b"", extras=b"", value=b"", cas=0, opaque=OPAQUE, body_more=0, magic=0x80):
    body = len(extras) + len(key) + len(value) + body_more
    head = HEADER.pack(magic, opcode, len(key), len(extras), 0, 0, body, opaque, cas)
    return head + extras + key + value


def store(opcode, key, value, flags=0, exptime=0, cas=0):
    return packet(opcode, key, struct.pack("!II", flags, exptime), value, cas)


def count(opcode, key, delta, initial=0, exptime=0, cas=0):
    return packet(opcode, key, struct.pack("!QQI", delta, initial, exptime), cas=cas)


def timed(opcode, key=b"", exptime=0):
    return packet(opcode, key, struct.pack("!I", exptime))


class Reply:
    def __init__(self, data):
        """The first packet of data."""
        (self.magic, self.opcode, key, extras, self.datatype, self.status, body, self.opaque,
         self.cas) = HEADER.unpack_from(data)
        rest = data[HEADER.size : HEADER.size + body]
        self.bytes = HEADER.size + len(rest)
        self.whole = len(rest) == body
        self.extras, self.key, self.value = (
            rest[:extras], rest[extras : extras + key], rest[extras + key :])

    def __repr__(self):
        cas = f" cas {self.cas}" if self.cas else ""
        return (f"<{self.opcode:#04x} {self.status:#x} extras {self.extras.hex()} key {self.key!r}"
                f" value {self.value[:80]!r} ({len(self.value)}){cas} {self.opaque:#x}>")


def replies(data):
    """All packets of data; what is left over as bytes at the end."""
    found = []
    while len(data) >= HEADER.size and data[0] == 0x81:
        one = Reply(data)
        if not one.whole:
            break
        found.append(one)
        data = data[one.bytes :]
    return found + ([data] if data else [])


def read_reply(file):
    """One packet from a buffered stream, or None at its end."""
    head = file.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    body = HEADER.unpack(head)[6]
    return Reply(head + file.read(body))
