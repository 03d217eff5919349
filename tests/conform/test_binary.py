# SPDX-License-Identifier: BSD-3-Clause
"""The binary protocol: the same packets to Debian's memcached and to the server, and what comes back
compared byte for byte but for CAS numbers, which are named by their order."""

import os
import re
import shutil
import struct
import threading

import pytest

import raw_lib
from binary import *  # noqa: F403
from binary import count, packet, read_reply, replies, store, timed
from netlab import PORT, SERVER_IP
from wire import Tcp

BIG = b"v" * (1 << 20)
LAST = packet(0x0A, opaque=0x1A57)

# name: packets. A NOOP follows each case, whose reply ends what is read; `{N}` in a CAS number's
# place is the Nth one that came.
CASES = {
    "get": [store(SET, b"~k", b"value", 7), packet(GET, b"~k"), packet(GETQ, b"~k")],
    "getk": [store(SET, b"~k", b"value", 7), packet(GETK, b"~k"), packet(GETKQ, b"~k")],
    "misses": [packet(op, b"~k") for op in (GET, GETQ, GETK, GETKQ, DELETE, DELETEQ)],
    "empty value": [store(SET, b"~k", b""), packet(GET, b"~k"), packet(GETK, b"~k")],
    "any key": [store(SET, b"~ \r\n\0\x80\xff", b"v"), packet(GETK, b"~ \r\n\0\x80\xff")],
    "longest key": [store(SET, b"~" + b"k" * 240, b"v"), packet(GETK, b"~" + b"k" * 240)],
    "value like a packet": [store(SET, b"~k", packet(NOOP)), packet(GET, b"~k")],
    "flags": [store(SET, b"~k", b"v", 0xFFFFFFFF), packet(GET, b"~k")],
    "add": [store(ADD, b"~k", b"1"), store(ADD, b"~k", b"2"), packet(GET, b"~k")],
    "addq": [store(ADDQ, b"~k", b"1"), store(ADDQ, b"~k", b"2"), packet(GET, b"~k")],
    "replace": [
        store(REPLACE, b"~k", b"1"), store(SET, b"~k", b"2"), store(REPLACE, b"~k", b"3"),
        store(REPLACEQ, b"~k", b"4"), store(REPLACEQ, b"~l", b"4"), packet(GET, b"~k")],
    "quiet set": [store(SETQ, b"~k", b"1"), packet(GET, b"~k")],
    "append": [
        packet(APPEND, b"~k", b"", b"1"), packet(PREPEND, b"~k", b"", b"1"),
        packet(APPENDQ, b"~k", b"", b"1"), store(SET, b"~k", b"2", 9),
        packet(APPEND, b"~k", b"", b"3"), packet(PREPEND, b"~k", b"", b"1"),
        packet(APPENDQ, b"~k", b"", b"4"), packet(PREPENDQ, b"~k", b"", b""),
        packet(GET, b"~k")],
    "append with another cas": [
        store(SET, b"~k", b"1"), packet(APPEND, b"~k", b"", b"2", cas=999999),
        packet(PREPENDQ, b"~k", b"", b"2", cas=999999), packet(GET, b"~k")],
    "cas of nothing": [
        store(op, b"~k", b"v", cas=9) for op in (SET, SETQ, ADD, ADDQ, REPLACE, REPLACEQ)],
    "another cas": [store(SET, b"~k", b"v")] + [
        store(op, b"~k", b"v", cas=999999) for op in (SET, SETQ, ADD, ADDQ, REPLACE, REPLACEQ)],
    "the cas": [
        store(SET, b"~k", b"1"), (0, store(SET, b"~k", b"2")), (1, store(REPLACE, b"~k", b"3")),
        (2, store(ADD, b"~k", b"4")), (3, packet(APPEND, b"~k", b"", b"5")),
        packet(GET, b"~k")],
    "delete": [
        store(SET, b"~k", b"1"), packet(DELETE, b"~k", cas=999999), packet(DELETE, b"~k"),
        packet(DELETE, b"~k"), store(SET, b"~k", b"1"), packet(DELETEQ, b"~k"),
        packet(DELETEQ, b"~k"), packet(GET, b"~k")],
    "delete with the cas": [store(SET, b"~k", b"1"), (0, packet(DELETE, b"~k"))],
    "incr": [
        count(INCR, b"~n", 1, 0, DO_NOT_CREATE), count(INCR, b"~n", 1, 10),
        count(INCR, b"~n", 5, 10), count(DECR, b"~n", 20, 10), count(INCRQ, b"~n", 5),
        count(DECRQ, b"~n", 2), packet(GET, b"~n")],
    "decr of nothing": [
        count(DECR, b"~n", 1, 0, DO_NOT_CREATE), count(DECRQ, b"~n", 1, 0, DO_NOT_CREATE),
        count(DECR, b"~n", 1, 77), count(DECRQ, b"~m", 1, 77), packet(GET, b"~m")],
    "incr wraps": [
        count(INCR, b"~n", 1, (1 << 64) - 1), count(INCR, b"~n", 2), packet(GET, b"~n")],
    "decr keeps the width": [
        store(SET, b"~n", b"100"), count(DECR, b"~n", 91), packet(GET, b"~n")],
    "incr of no number": [
        store(SET, b"~k", b"abc"), count(INCR, b"~k", 1), count(INCRQ, b"~k", 1),
        store(SET, b"~k", b""), count(DECR, b"~k", 1)],
    "incr with a cas": [
        store(SET, b"~n", b"1"), count(INCR, b"~n", 1, cas=999999), (0, count(INCR, b"~n", 1))],
    "touch": [
        timed(op, b"~k", 100) for op in (TOUCH, GAT, GATQ, GATK, GATKQ)
    ] + [store(SET, b"~k", b"v", 7)] + [
        timed(op, b"~k", 100) for op in (TOUCH, GAT, GATQ, GATK, GATKQ)],
    "expired": [
        store(SET, b"~k", b"v", 0, 3000000), packet(GET, b"~k"), store(SET, b"~k", b"v"),
        timed(TOUCH, b"~k", 3000000), packet(GET, b"~k")],
    "far away": [store(SET, b"~k", b"v", 0, 0xFFFFFFFF), packet(GET, b"~k")],
    "noop": [packet(NOOP), packet(NOOP, opaque=0), packet(NOOP, opaque=0xFFFFFFFF, cas=5)],
    "sasl is off": [packet(SASL_LIST), packet(SASL_AUTH, b"PLAIN", b"", b"\0u\0p"),
                    packet(SASL_STEP, b"PLAIN", b"", b"\0u\0p")],
    "quit": [packet(QUIT), packet(NOOP)],
    "quitq": [packet(QUITQ), packet(NOOP)],
    "too large": [
        store(SET, b"~k", b"old"), store(SET, b"~k", BIG), packet(GET, b"~k"),
        store(SET, b"~k", b"old"), store(SETQ, b"~k", BIG), packet(GET, b"~k")],
    "too large for others": [
        store(SET, b"~k", b"old"), store(ADD, b"~k", BIG), store(REPLACE, b"~k", BIG),
        packet(APPEND, b"~k", b"", BIG), packet(PREPENDQ, b"~k", b"", BIG), packet(GET, b"~k")],
    "grown too large": [
        store(SET, b"~k", BIG[:600000]), packet(APPEND, b"~k", b"", BIG[:600000]),
        packet(PREPENDQ, b"~k", b"", BIG[:600000])],
    "largest": [store(SET, b"~k", BIG[:1000000]), packet(GETK, b"~k")],
    "stat of nothing": [packet(STAT, b"nothing"), packet(STAT, b"conns"),
                        packet(STAT, b"cachedump 1 1"), packet(STAT, b"detail")],
    "stat without figures": [packet(STAT, b"reset"), packet(STAT, b"detail on"),
                             packet(STAT, b"detail off"), packet(STAT, b"sizes")],
    "pipelined": [store(SET, b"~%d" % i, b"%d" % i) for i in range(300)]
    + [packet(GETKQ, b"~%d" % i) for i in range(0, 400, 3)],
    # what closes
    "key too long": [packet(GET, b"k" * 251)],
    "key too long, unknown": [packet(0x55, b"k" * 251)],
    "get without key": [packet(GET)],
    "get with extras": [packet(GET, b"k", b"1234")],
    "set without extras": [packet(SET, b"k", b"", b"value")],
    "set without key": [store(SET, b"", b"value")],
    "append with extras": [store(APPEND, b"k", b"value")],
    "incr with short extras": [timed(INCR, b"k")],
    "delete with extras": [timed(DELETE, b"k")],
    "noop with a body": [packet(NOOP, b"", b"", b"x")],
    "version with a key": [packet(VERSION, b"x")],
    "quit with a key": [packet(QUIT, b"x")],
    "flush with a key": [packet(FLUSH, b"x")],
    "flush with short extras": [packet(FLUSH, b"", b"123")],
    "touch without extras": [packet(TOUCH, b"k")],
    "stat with extras": [packet(STAT, b"", b"1234")],
    "list of mechanisms with a key": [packet(SASL_LIST, b"k")],
    "auth without a mechanism": [packet(SASL_AUTH, b"", b"", b"x")],
    "body shorter than key": [packet(GET, b"abcd", body_more=-1)],
    "another magic": [packet(NOOP), packet(NOOP, magic=0x81)],
    "text in the middle": [packet(NOOP), b"get a\r\n" + b"x" * 30],
}

# Where ours is better than memcached: name, packets, what comes.
OURS = {
    # memcached drops the extras and the key of an unknown command twice, and with them what follows
    "verbosity": ([timed(VERBOSITY, b"", 1)], [(VERBOSITY, UNKNOWN)]),
    "range": ([packet(0x30, b"key", b"1234", b"value")], [(0x30, UNKNOWN)]),
    # it reads a value where none may be as the next command
    "touch with a value": ([packet(TOUCH, b"~k", b"1234", b"value")], [(TOUCH, INVALID)]),
    "stat with a value": ([packet(STAT, b"", b"", b"value")], [(STAT, INVALID)]),
}


def with_cas(step, cas):
    """A packet as it is, or (N, packet): with the Nth CAS number that came."""
    if isinstance(step, bytes):
        return step
    n, data = step
    return data[:16] + struct.pack("!Q", cas[n] if n < len(cas) else 999999) + data[24:]


class Asker:
    """A connection on which a case runs."""

    def __init__(self, addr):
        self.sock = raw_lib.connect(addr)
        self.sock.settimeout(raw_lib.LIMIT_S)
        self.file = self.sock.makefile("rb")

    def run(self, steps, cut=None):
        """What came: replies, and whether the server closed. Each step that wants a CAS number of
        an earlier reply waits for all replies to those before."""
        found, cas = [], []
        pending, marks = b"", 0
        for step in [*steps, LAST]:
            if not isinstance(step, bytes) or step is LAST:
                marks += 1
                pending += packet(NOOP, opaque=0x5EA1 + marks) if step is not LAST else b""
                if step is not LAST:
                    if not self.exchange(pending, cut, found, cas, 0x5EA1 + marks):
                        return found, True
                    pending = b""
            pending += with_cas(step, cas)
        return found, not self.exchange(pending, cut, found, cas, 0x1A57)

    def exchange(self, data, cut, found, cas, last):
        """Sends and reads at once: a server whose replies nobody takes stops reading, and each
        small one fills a local socket's buffer by a kilobyte."""
        sender = threading.Thread(target=self.send, args=(data, cut))
        sender.start()
        try:
            return self.read(found, cas, last)
        finally:
            sender.join()

    def send(self, data, cut):
        try:
            for at in range(0, len(data), cut or len(data)):
                self.sock.sendall(data[at : at + (cut or len(data))])
        except OSError:
            pass  # the reader sees the end

    def read(self, found, cas, last):
        """Up to the NOOP with that opaque; False at the end of the stream."""
        while True:
            try:
                reply = read_reply(self.file)
            except ConnectionResetError:
                reply = None
            if reply is None:
                return False
            if reply.opaque == last:
                return True
            if reply.cas:
                if reply.cas not in cas:
                    cas.append(reply.cas)
                reply.cas = cas.index(reply.cas) + 1
            found.append(reply)

    def close(self):
        self.file.close()
        self.sock.close()


def outcome(addr, steps, prefix, cut=None):
    own = [
        s.replace(b"~", prefix) if isinstance(s, bytes) else (s[0], s[1].replace(b"~", prefix))
        for s in steps
    ]
    asker = Asker(addr)
    try:
        found, closed = asker.run(own, cut)
    except TimeoutError:
        return ["no answer"], False
    finally:
        asker.close()
    return [repr(r) for r in found], closed


def difference(reference, under_test, name, steps, prefix, cut=None):
    want, got = (outcome(addr, steps, prefix, cut) for addr in (reference, under_test))
    if want == got:
        return None
    return f"{name}:\n    want {want}\n    got  {got}"


PREFIX = b"_"  # as long as the `~` it takes the place of, so that lengths stay


@pytest.mark.skipif(not shutil.which("memcached"), reason="no memcached to compare with")
@pytest.mark.lcached_only("memcached would be compared with itself")
@pytest.mark.limit(180)
@pytest.mark.parametrize("cut", (None, 7), ids=("whole", "cut"))
def test_every_case(server, cut):
    failures = []
    with raw_lib.memcached() as reference:
        for name, steps in CASES.items():
            if cut and any(len(s) > 100000 for s in steps if isinstance(s, bytes)):
                continue
            for addr in (reference, (SERVER_IP, PORT)):
                asker = Asker(addr)
                asker.run([packet(FLUSH)])
                asker.close()
            failures.append(difference(reference, (SERVER_IP, PORT), name, steps, PREFIX, cut))
    failures = [f for f in failures if f]
    assert not failures, "\n".join(failures)


@pytest.mark.lcached_only("memcached loses its place in the stream")
@pytest.mark.parametrize("name", OURS)
def test_better_than_memcached(server, name):
    steps, want = OURS[name]
    asker = Asker((SERVER_IP, PORT))
    found, closed = asker.run(steps)
    asker.close()
    assert [(r.opcode, r.status) for r in found] == want
    assert closed == (want[-1][1] == INVALID)


def stat(conn, word=b""):
    conn.send(packet(STAT, word))
    found = {}
    while (reply := read_reply(conn.file)).key:
        assert (reply.status, reply.opaque) == (OK, 0x0A0B0C0D)
        found[reply.key.decode()] = reply.value.decode()
    assert (reply.status, reply.value) == (OK, b"")
    return found


@pytest.mark.parametrize("word", (b"", b"settings", b"items", b"slabs"))
def test_stats_are_those_of_text(server, word):
    with Tcp() as text:
        text.set(b"k", b"v")
        want = text.stats(word)
    with Tcp() as conn:
        got = stat(conn, word)
    assert got.keys() == want.keys()
    if word == b"settings":
        assert got == want


def test_stats_count_binary_commands(server):
    with Tcp() as conn:
        before = stat(conn)
        conn.send(store(SET, b"k", b"v") + packet(GET, b"k") + packet(GET, b"miss"))
        conn.send(packet(DELETE, b"k") + count(INCR, b"n", 1) + count(INCR, b"n", 1))
        conn.send(timed(GAT, b"n", 9) + timed(TOUCH, b"miss", 9))
        for _ in range(8):
            read_reply(conn.file)
        after = stat(conn)
    moved = {k: int(after[k]) - int(before[k]) for k in raw_lib.STATS}
    assert {k: v for k, v in moved.items() if v} == dict(
        cmd_get=2, cmd_set=1, get_hits=1, get_misses=1, delete_hits=1, incr_hits=1, cmd_touch=2,
        touch_hits=1, touch_misses=1)


def test_version(server):
    with Tcp() as conn:
        text = conn.ask(b"version\r\n")
    with Tcp() as conn:
        conn.send(packet(VERSION))
        assert b"VERSION %s\r\n" % read_reply(conn.file).value == text


def test_a_flush_with_a_delay(server):
    with Tcp() as conn:
        conn.send(store(SETQ, b"k", b"v") + timed(FLUSH, b"", 1000) + packet(GETK, b"k"))
        assert read_reply(conn.file).opcode == FLUSH
        assert read_reply(conn.file).value == b"v"
        conn.send(timed(FLUSHQ) + packet(GETKQ, b"k") + packet(NOOP))
        assert read_reply(conn.file).opcode == NOOP


def test_items_are_the_same_in_both_languages(server):
    with Tcp() as binary, Tcp() as text:
        binary.send(store(SET, b"k", b"v", 7))
        read_reply(binary.file)
        text.send(b"gets k\r\n")
        head = text.line()
        assert head.startswith(b"VALUE k 7 1 ")
        assert text.line() + text.line() == b"v\r\nEND\r\n"
        binary.send(store(SET, b"k", b"w", cas=int(head.split()[4])))
        assert read_reply(binary.file).status == OK
        assert text.get(b"k") == b"w"


def test_the_first_byte_of_a_datagram_decides(server, udp):
    reply = replies(udp.ask(store(SET, b"k", b"v", 7)))
    assert [(r.opcode, r.status) for r in reply] == [(SET, OK)]
    assert udp.ask(b"get k\r\n") == b"VALUE k 7 1\r\nv\r\nEND\r\n"


@pytest.mark.lcached_only("each reply is a message of its own")
def test_several_packets_in_a_datagram(server, udp):
    assert udp.ask(b"set k 7 0 1\r\nv\r\n") == b"STORED\r\n"
    two = replies(udp.ask(packet(GETK, b"k") + packet(NOOP)))
    assert [(r.opcode, r.value) for r in two] == [(GETK, b"v"), (NOOP, b"")]


@pytest.mark.lcached_only("memcached takes the rest from the next datagram")
def test_a_set_whose_value_a_datagram_does_not_hold(server, udp):
    reply = replies(udp.ask(store(SET, b"k", b"value")[:-1]))
    assert [(r.opcode, r.status) for r in reply] == [(SET, INVALID)]


@pytest.mark.limit(120)
def test_random_packets_do_no_harm(server):
    for i in range(200):
        data = os.urandom(200)
        asker = Asker((SERVER_IP, PORT))
        asker.sock.settimeout(0.01)
        try:
            asker.send(b"\x80" + data, None)
            asker.file.read(1)
        except TimeoutError:
            pass
        asker.close()
    with Tcp() as conn:
        conn.send(packet(NOOP))
        assert read_reply(conn.file).opcode == NOOP
