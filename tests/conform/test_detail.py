# SPDX-License-Identifier: BSD-3-Clause
"""stats detail: the same requests to memcached and to the server, and what both have counted by
prefix then."""

import os
import random
import shutil

import pytest

import raw_lib
from binary import *  # noqa: F403
from binary import count, packet, read_reply, store, timed
from netlab import PORT, SERVER_IP
from telemetry import Telemetry
from wire import Tcp, eventually

REFERENCE = os.environ.get("LCACHED_REFERENCE", "memcached")
BIG = b"v" * (1 << 20)
WORKERS = (1, 3)

needs_memcached = [
    pytest.mark.skipif(not shutil.which(REFERENCE), reason="no memcached to compare with"),
    pytest.mark.lcached_only("memcached would be compared with itself"),
]


class Asker:
    """A connection whose text requests are followed by one that nobody counts, which ends what is
    read."""

    def __init__(self, addr):
        self.sock = raw_lib.connect(addr)
        self.file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def text(self, request):
        self.sock.sendall(request + raw_lib.SENTINEL)
        data = b""
        while (line := self.file.readline()) != raw_lib.SENTINEL_REPLY:
            assert line, data
            data += line
        return data

    def binary(self, packets):
        self.sock.sendall(packets + packet(NOOP, opaque=0x1A57))
        found = []
        while (reply := read_reply(self.file)).opaque != 0x1A57:
            found.append(reply)
        return found


def dump(addr):
    """The lines in order: there is no other."""
    with Asker(addr) as asker:
        lines = asker.text(b"stats detail dump\r\n").splitlines(keepends=True)
    assert lines.pop() == b"END\r\n"
    return sorted(lines)


TEXT = (
    b"set ~:1 0 0 1\r\n1\r\n", b"set ~:2 0 0 3 noreply\r\nabc\r\n", b"add ~:1 0 0 1\r\n1\r\n",
    b"replace ~:3 0 0 1\r\n1\r\n", b"append ~:1 0 0 1\r\n1\r\n", b"prepend ~:4 0 0 1\r\n1\r\n",
    b"cas ~:1 0 0 1 999999\r\n1\r\n", b"set ~:1 0 0 1\r\n1234\r\n",
    b"set ~:5 0 0 1048577\r\n" + BIG + b"v\r\n", b"set ~:1 0 -1 1\r\n1\r\n",
    b"get ~:1\r\n", b"gets ~:1 ~:2 ~:9 none\r\n", b"gat 0 ~:1 ~:9\r\n", b"gats 0 ~:2\r\n",
    b"touch ~:1 0\r\n", b"touch ~:9 0\r\n", b"incr ~:1 1\r\n", b"decr ~:9 1\r\n",
    b"delete ~:1\r\n", b"delete ~:9\r\n", b"delete ~:2 noreply\r\n",
    b"get ~\r\n", b"get :~\r\n", b"get ~:a:b\r\n", b"get ~::\r\n", b"delete " + b"~:" + b"k" * 240 + b"\r\n",
    b"get ~:" + b"k" * 255 + b"\r\n", b"set ~:1\r\n", b"delete ~:1 0\r\n",
)
META = (
    b"ms ~:1 1\r\n1\r\n", b"mg ~:1 v\r\n", b"mg ~:9 v N30\r\n", b"ma ~:1\r\n", b"md ~:1\r\n",
    b"md ~:9 q\r\n", b"me ~:1\r\n",
)
BINARY = (
    store(SET, b"~:1", b"1"), store(SETQ, b"~:2", b"2"), store(ADD, b"~:1", b"1"),
    store(REPLACE, b"~:9", b"1"), packet(APPEND, b"~:1", b"", b"1"),
    packet(PREPENDQ, b"~:9", b"", b"1"), store(SET, b"~:1", b"1", cas=99999),
    store(SET, b"~:1", BIG), packet(GET, b"~:1"), packet(GETQ, b"~:9"), packet(GETK, b"~:2"),
    packet(GETKQ, b"~:2"), timed(TOUCH, b"~:2", 0), timed(TOUCH, b"~:9", 0), timed(GAT, b"~:2", 0),
    timed(GATKQ, b"~:9", 0), count(INCR, b"~:n", 1, 0), packet(DELETE, b"~:1", cas=99999),
    packet(DELETE, b"~:2"), packet(DELETEQ, b"~:9"), packet(GET, b"~\0:"), packet(GET, b"~\0"),
    packet(GET, b"~ \r\n:1"), packet(GET, b"\xff~:"),
)


def scripts(kinds, seed, length):
    """Each request by itself with a prefix of its own, then many at random with few prefixes."""
    rng = random.Random(seed)
    for i, request in enumerate(kinds):
        yield request.replace(b"~", b"%c" % (ord("A") + i % 26))
    for _ in range(length):
        yield rng.choice(kinds).replace(b"~", rng.choice((b"a", b"b", b"c", b"d")))


def run(addr, kinds, seed):
    with Asker(addr) as asker:
        ask = asker.binary if kinds is BINARY else asker.text
        ask(packet(STAT, b"detail on") if kinds is BINARY else b"stats detail on\r\n")
        for request in scripts(kinds, seed, 300):
            ask(request)
    return dump(addr)


@pytest.fixture
def reference():
    with raw_lib.memcached(REFERENCE) as addr:
        yield addr


@pytest.fixture
def detail(server):
    """The shared server, which counts nothing and holds nothing before and behind the test."""
    yield (SERVER_IP, PORT)
    with Tcp() as tcp:
        assert tcp.ask(b"stats detail off\r\n") == b"OK\r\n"
        assert tcp.ask(b"stats reset\r\n") == b"RESET\r\n"


@pytest.mark.limit(120)
@pytest.mark.parametrize("kinds", (TEXT, TEXT + META, BINARY), ids=("text", "meta", "binary"))
class TestAsMemcached:
    pytestmark = needs_memcached

    def test_counts(self, detail, reference, kinds):
        want = run(reference, kinds, 1)
        assert want
        assert run(detail, kinds, 1) == want

    def test_one_write(self, detail, reference, kinds):
        """What comes in one write is counted between the on and the off that are in it."""
        found = []
        for addr in (reference, detail):
            with Asker(addr) as asker:
                if kinds is BINARY:
                    asker.binary(b"".join((
                        packet(GET, b"x:"), packet(STAT, b"detail on"),
                        *scripts(kinds, 2, 60), packet(STAT, b"detail off"), packet(GET, b"x:"))))
                else:
                    asker.text(b"".join((
                        b"get x:\r\nstats detail on\r\n", *scripts(kinds, 2, 60),
                        b"stats detail off\r\nget x:\r\n")))
            found.append(dump(addr))
        assert found[0] and found[1] == found[0]


def test_on_off_and_reset(detail, tcp):
    def lines():
        return dump(detail)

    assert tcp.ask(b"stats detail dump\r\n") == b"END\r\n"
    tcp.get(b"foo:1")
    assert lines() == []
    assert tcp.ask(b"stats detail on\r\n") == b"OK\r\n"
    assert tcp.stats(b"settings")["detail_enabled"] == "yes"
    tcp.get(b"foo:1")
    tcp.set(b"foo:2", b"v")
    assert lines() == [b"PREFIX foo get 1 hit 0 set 1 del 0\r\n"]
    assert tcp.ask(b"stats detail off\r\n") == b"OK\r\n"
    assert tcp.stats(b"settings")["detail_enabled"] == "no"
    tcp.get(b"foo:1")
    assert lines() == [b"PREFIX foo get 1 hit 0 set 1 del 0\r\n"]
    assert tcp.ask(b"stats detail on\r\n") == b"OK\r\n"
    tcp.get(b"foo:2")
    assert lines() == [b"PREFIX foo get 2 hit 1 set 1 del 0\r\n"]
    assert tcp.ask(b"stats reset\r\n") == b"RESET\r\n"
    assert lines() == []
    tcp.get(b"foo:2")
    assert lines() == [b"PREFIX foo get 1 hit 1 set 0 del 0\r\n"]


def test_binary_dump(detail, reference):
    """One packet with the text, and the empty one behind it."""
    found = []
    for addr in (reference, detail):
        with Asker(addr) as asker:
            assert [repr(r) for r in asker.binary(packet(STAT, b"detail dump"))] == [
                "<0x10 0x0 extras  key b'detailed' value b'END\\r\\n' (5) 0xa0b0c0d>",
                "<0x10 0x0 extras  key b'' value b'' (0) 0xa0b0c0d>"]
            asker.binary(packet(STAT, b"detail on") + packet(GET, b"k:"))
            found.append([repr(r) for r in asker.binary(packet(STAT, b"detail dump"))])
            found[-1] += [repr(r) for r in asker.binary(packet(STAT, b"detail"))]
    assert found[0] == found[1] and "PREFIX k get 1" in found[0][0]


def test_over_udp(detail, udp):
    assert udp.ask(b"stats detail on\r\n") == b"OK\r\n"
    for i in range(50):
        assert udp.ask(b"get u%d:1\r\n" % i) == b"END\r\n"
    reply = udp.ask(b"stats detail dump\r\n").splitlines(keepends=True)
    assert reply.pop() == b"END\r\n"
    assert sorted(reply) == sorted(
        b"PREFIX u%d get 1 hit 0 set 0 del 0\r\n" % i for i in range(50))


@pytest.mark.limit(120)
def test_many_prefixes(detail, server, tcp):
    """A dump in many rounds, while others are served; all of them sum up."""
    prefixes = 20000
    tcp.send(b"stats detail on\r\n")
    for part in range(0, prefixes, 1000):
        tcp.send(b"".join(b"delete p%d:%d noreply\r\n" % (i, k)
                          for i in range(part, part + 1000) for k in range(3)))
    assert [tcp.line(), tcp.ask(b"mn\r\n")] == [b"OK\r\n", b"MN\r\n"]
    with Asker(detail) as asker, Tcp() as other:
        asker.sock.sendall(b"stats detail dump\r\n")
        for _ in range(50):
            assert other.ask(b"mn\r\n") == b"MN\r\n"
        lines = asker.text(b"").splitlines(keepends=True)
    assert lines.pop() == b"END\r\n"
    assert sorted(lines) == sorted(
        b"PREFIX p%d get 0 hit 0 set 0 del 3\r\n" % i for i in range(prefixes))
    if server.lab.kind == "lcached":
        with Telemetry(server.process.pid) as telemetry:
            stats = telemetry.ask("/lcached/info,stats")
        assert prefixes <= stats["detail_prefixes"] <= server.workers * prefixes
        assert stats["detail_left_out"] == 0


@pytest.mark.parametrize("options", (["-D", "|"], ["-D|"]))
def test_delimiter(launch, options):
    with launch(options=options), Tcp() as tcp:
        settings = tcp.stats(b"settings")
        assert (settings["stat_key_prefix"], settings["detail_enabled"]) == ("|", "yes")
        tcp.get(b"a:b|c")
        assert dump((SERVER_IP, PORT)) == [b"PREFIX a:b get 1 hit 0 set 0 del 0\r\n"]


@pytest.mark.lcached_only("memcached has no such options")
@pytest.mark.parametrize("workers", WORKERS)
def test_option_and_command_are_one(launch, workers):
    """Whoever came last decides, and the option says what holds."""
    options = ["--detail-enabled", "yes", "-o", "stat_key_prefix=/"]
    with launch(options=options, workers=workers) as server, Tcp() as tcp, Telemetry(
            server.process.pid) as telemetry:
        def option(value):
            return eventually(lambda: telemetry.ask("/lcached/config,detail-enabled")
                              == {"detail_enabled": value}, 5)

        def enabled(value):
            return eventually(lambda: tcp.stats(b"settings")["detail_enabled"] == value, 5)

        assert enabled("yes") and option("yes")
        assert tcp.stats(b"settings")["stat_key_prefix"] == "/"
        assert tcp.ask(b"stats detail off\r\n") == b"OK\r\n"
        assert option("no")
        telemetry.ask("/lcached/config/set,detail-enabled=yes")
        assert enabled("yes") and option("yes")
        tcp.get(b"a/b")
        telemetry.ask("/lcached/config/set,detail-enabled=no")
        assert enabled("no") and option("no")
        tcp.get(b"a/b")
        assert dump((SERVER_IP, PORT)) == [b"PREFIX a get 1 hit 0 set 0 del 0\r\n"]
        assert tcp.ask(b"stats detail on\r\n") == b"OK\r\n"
        assert option("yes") and enabled("yes")
