# SPDX-License-Identifier: BSD-3-Clause
"""UDP that cannot be used against others: what comes out of the server, whole frames of every kind,
against what went in, with sources forged on the wire."""

import contextlib
import random
import select
import socket
import struct
import time

import pytest

import binary
import frames
from figures import comes_to, configure, counter
from netlab import CLIENT_IP, PORT, SERVER_IP
from wire import Tcp, Udp, noise, value_reply

SERVER6 = "fd00:c612:d3::2"
CLIENT6 = "fd00:c612:d3::1"
DUAL = ["-l", f"{SERVER_IP}/24", "-l", f"{SERVER6}/64"]
ETH_ALL, ETH_IPV6 = 3, 0x86DD
UDP = 17
OUTGOING = 4  # socket.PACKET_OUTGOING: what the client's side has sent itself
SO_RCVBUFFORCE = 33  # beyond the system's limit: nothing may be lost that is to be counted
BURST = 100  # of frames; the device's queue holds some more than that

pytestmark = pytest.mark.lcached_only("memcached answers whoever asks")


def datagram(payload, request_id=1):
    return struct.pack("!HHHH", request_id, 0, 1, 0) + payload


class Tally:
    """Frames on the link: bytes that came from the server, and what of them answers over UDP."""

    def __init__(self, lab):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.sock.bind((lab.client_iface(), ETH_ALL))
        self.bytes = 0
        self.to = {}  # bytes of frames by IPv4 destination
        self.answers = {}  # bytes of payload by request id

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def _take(self, data):
        self.bytes += len(data)
        kind, ip = data[12:14], data[14:]
        if kind == b"\x08\0":
            to = socket.inet_ntoa(ip[16:20])
            self.to[to] = self.to.get(to, 0) + len(data)
            proto, rest = ip[9], ip[20:]
        elif kind == b"\x86\xdd":
            proto, rest = ip[6], ip[40:]
        else:
            return
        if proto != UDP or struct.unpack("!H", rest[:2])[0] not in range(PORT, PORT + 16):
            return
        payload = rest[8 : struct.unpack("!H", rest[4:6])[0]]
        request_id = struct.unpack("!H", payload[:2])[0]
        self.answers[request_id] = self.answers.get(request_id, 0) + len(payload)

    def until_quiet(self, seconds=0.5):
        end = time.monotonic() + 60
        while time.monotonic() < end and select.select([self.sock], [], [], seconds)[0]:
            data, peer = self.sock.recvfrom(65536)
            if peer[2] != OUTGOING:
                self._take(data)
        return self.bytes


def on_link(i):
    return f"198.18.211.{10 + i % 240}"


def anywhere(i):
    return socket.inet_ntoa(struct.pack("!I", random.Random(i).randrange(1 << 24, 10 << 24)))


def spoofed_gets(running, wire, key, count, source=on_link):
    """Requests for a key in the names of others; the bytes that were sent."""
    sent, taken = 0, counter(running, "udp_requests")
    for i in range(count):
        if i % BURST == 0:  # a server that has no CPU for a while would lose what comes then
            assert comes_to(running, "udp_requests", taken + i)
        payload = frames.udp(4000 + i, datagram(b"get %s\r\n" % key), no_checksum=True)
        packet = frames.ipv4(UDP, payload, src=source(i))
        wire.send(packet)
        sent += 14 + len(packet)
    assert comes_to(running, "udp_requests", taken + count)
    return sent


@contextlib.contextmanager
def big_item(launch, workers, *options, settings=()):
    options = ["-I", "2m", *options]
    with launch(workers=workers, options=options, settings=settings) as running:
        with Tcp() as conn:
            assert conn.set(b"big", noise(1 << 20)) == b"STORED\r\n"
        with frames.Wire(running.lab) as wire:
            yield running, wire


# From the link, where answers go back to the frame's MAC; from beyond it, by a gateway that is there,
# and by one that is not, whose MAC is asked for in vain.
PLACES = {
    "link": (on_link, []),
    "gateway": (anywhere, [f"gateway {CLIENT_IP}"]),
    "no gateway": (anywhere, ["gateway 198.18.211.99"]),
}


@pytest.mark.limit(180)
@pytest.mark.parametrize("workers, place", [(1, "link"), *((3, place) for place in PLACES)])
def test_spoofed_requests_are_not_amplified(launch, workers, place):
    """1,000 requests for 1 MiB in the names of others: no more comes out than went in."""
    source, settings = PLACES[place]
    with big_item(launch, workers, "--udp-allow", "none", settings=settings) as (running, wire):
        with Tally(running.lab) as tally:
            sent = spoofed_gets(running, wire, b"big", 1000, source)
            assert tally.until_quiet() <= sent
            sent += spoofed_gets(running, wire, b"no", 200, source)  # those are answered
            received = tally.until_quiet()
        assert counter(running, "udp_amplified") == 1000
        assert received <= sent
        assert received > (0 if place == "no gateway" else 200 * 14)


def test_the_same_with_everybody_allowed(launch):
    """... shows that the test above sees what comes out."""
    with big_item(launch, 1, "--udp-allow", "all") as (running, wire):
        with Tally(running.lab) as tally:
            sent = spoofed_gets(running, wire, b"big", 3)
            assert tally.until_quiet() > 1000 * sent
        assert counter(running, "udp_amplified") == 0


@pytest.mark.parametrize("workers", (1, 3))
def test_some_are_on_the_list(launch, workers):
    """Those get all of it, their neighbours nothing."""
    inside = "198.18.211.128/25"
    with big_item(launch, workers, "--udp-allow", inside) as (running, wire):
        with Tally(running.lab) as tally:
            spoofed_gets(running, wire, b"big", 20, lambda i: f"198.18.211.{118 + i}")
            tally.until_quiet()
        assert sorted(tally.to) == sorted(f"198.18.211.{128 + i}" for i in range(10))
        assert min(tally.to.values()) > 1 << 20
        assert counter(running, "udp_amplified") == 10


BINARY = (
    binary.packet(binary.GET, b"small"), binary.packet(binary.GETK, b"big"), binary.packet(binary.NOOP),
    binary.packet(binary.GETK, b"no"), binary.packet(binary.VERSION), binary.packet(binary.STAT),
    binary.packet(binary.STAT, b"settings"), binary.packet(binary.QUIT), binary.packet(binary.SASL_LIST),
    binary.packet(0x77), binary.packet(binary.GET), binary.timed(binary.GATK, b"small"),
    binary.store(binary.SET, b"b", b"v"), binary.store(binary.ADD, b"small", b"v"),
    binary.count(binary.INCR, b"n", 1), binary.packet(binary.APPEND, b"no", value=b"v"),
    binary.packet(binary.GETQ, b"small") * 8, binary.packet(binary.GET, b"no") * 40,
    binary.packet(binary.DELETE, b"none") * 50,
)  # fmt: skip
TEXT = (
    b"get big\r\n", b"get small\r\n", b"gets small big none\r\n", b"get%s\r\n" % (b" small" * 200),
    b"get%s\r\n" % b"".join(b" k%d" % i for i in range(200)), b"get k0\r\n", b"get k1\r\n", b"get k2\r\n",
    b"get k3\r\n", b"gat 0 small\r\n", b"gats 0 big small\r\n", b"get none\r\n", b"get %s\r\n" % (b"k" * 251),
    b"mg small v\r\n", b"mg big v\r\n", b"mg none v\r\n", b"mg c21hbGw= b k v\r\n", b"mg none q\r\n",
    b"mg small s t c f l h k Oabcdefgh\r\n", b"mg none k Oabcdefgh q\r\nmn\r\n", b"me small\r\n",
    b"mg small k s v\r\n" * 60, b"ms m 1 k b\r\nv\r\n", b"ms m 1 c k Oabc\r\nv\r\n", b"ma n t v N0 J13\r\n",
    b"md none k Oabc\r\n", b"mn\r\n" * 340, b"mn\r\n", b"mg small x\r\n", b"ms\r\n", b"mg\r\n" * 200,
    b"stats\r\n", b"stats settings\r\n", b"stats items\r\n", b"stats slabs\r\n", b"stats sizes\r\n",
    b"stats conns\r\n", b"stats memory\r\n", b"stats shards\r\n", b"stats doctor\r\n", b"stats nonsense\r\n",
    b"stats detail dump\r\n", b"stats cachedump 1 0\r\n", b"version\r\n", b"version\r\n" * 100, b"verbosity 1\r\n",
    b"flush_all 1000000\r\n", b"incr n 1\r\n", b"decr small 1\r\n", b"delete none\r\n", b"touch small 0\r\n",
    b"set s 0 0 1\r\na\r\n", b"set s 0 0 1\r\nab\r\n", b"set s 0 0 5000\r\n", b"set s 0 0 99999999\r\n",
    b"a\r\n", b"a\r\n" * 450, b"\r\n", b"\r\n" * 600, b"\n" * 1300, b"x" * 1400, b"quit\r\n", b"shutdown\r\n",
    b"watch\r\n", b"lru_crawler metadump all\r\n", b"lru_crawler mgdump all\r\n", b"lru mode flat\r\n",
    b"slabs automove 0\r\n", b"cache_memlimit x\r\n", b"refresh_certs\r\n", b"misbehave\r\n", b"a" * 600 + b"\r\n",
    b"\r\na\r\nget small\r\nget big\r\n", b"ERROR\r\n", b"ERROR\r\n" * 50, b"CLIENT_ERROR bad\r\n",
)  # fmt: skip
REQUESTS = TEXT + BINARY


def framed4(i, payload, port):
    payload = frames.udp(4000 + i, payload, no_checksum=True)
    payload = payload[:2] + struct.pack("!H", port) + payload[4:]
    return [frames.ipv4(UDP, payload, src=on_link(i))], frames.ETH_IPV4


def framed_in_pieces(i, payload, port):
    """Two fragments, cut in the text."""
    (whole,), kind = framed4(i, payload, port)
    body, src = whole[20:], on_link(i)
    cut = (len(body) // 2) & ~7
    first = frames.ipv4(UDP, body[:cut], src=src, fragment=0x2000)
    return [first, frames.ipv4(UDP, body[cut:], src=src, fragment=cut // 8)], kind


def framed6(i, payload, port):
    src = socket.inet_pton(socket.AF_INET6, f"fd00:c612:d3::{0x100 + i:x}")
    dst = socket.inet_pton(socket.AF_INET6, SERVER6)
    head = struct.pack("!HHH", 4000 + i, port, 8 + len(payload))
    pseudo = src + dst + struct.pack("!II", 8 + len(payload), UDP)
    check = frames.checksum(pseudo + head + b"\0\0" + payload) or 0xFFFF
    packet = struct.pack("!IHBB", 0x60000000, 8 + len(payload), UDP, 64) + src + dst
    return [packet + head + struct.pack("!H", check) + payload], ETH_IPV6


FRAMINGS = {"ipv4": framed4, "fragments": framed_in_pieces, "ipv6": framed6}


def items_set():
    with Tcp() as conn:
        for key, value in ((b"small", b"v" * 40), (b"n", b"1"), (b"big", noise(1 << 20))):
            assert conn.set(key, value) == b"STORED\r\n"
        for i in range(200):
            assert conn.set(b"k%d" % i, b"v" * 100) == b"STORED\r\n"


def requests_send(running, wire, framing, ports):
    """Each in the name of another; the bytes that were sent."""
    sent, taken = 0, counter(running, "udp_requests")
    for i, request in enumerate(REQUESTS):
        packets, kind = framing(i, datagram(request, i), PORT + i % ports)
        for packet in packets:
            wire.send(packet, kind)
            sent += 14 + len(packet)
        if i % 10 == 9:
            assert comes_to(running, "udp_requests", taken + i + 1)
    assert comes_to(running, "udp_requests", taken + len(REQUESTS))
    return sent


@pytest.mark.limit(120)
@pytest.mark.parametrize("workers, framing", [(1, "ipv4"), *((3, how) for how in FRAMINGS)])
def test_no_answer_outgrows_its_request(launch, workers, framing):
    """Every command and kind of answer, of this shard and others, over every port."""
    options = [*DUAL, "-I", "2m", "--udp-allow", "none", "--udp-shard-ports", "yes", "--udp-rate", "0"]
    with launch(workers=workers, options=options) as running:
        items_set()
        with frames.Wire(running.lab) as wire:
            for factor in (1, 3):
                configure(running, "udp-amplification", factor)
                with Tally(running.lab) as tally:
                    sent = requests_send(running, wire, FRAMINGS[framing], workers)
                    received = tally.until_quiet()
                for request_id, size in tally.answers.items():
                    asked = 8 + len(REQUESTS[request_id])
                    assert size <= factor * asked, REQUESTS[request_id][:60]
                assert len(tally.answers) >= 20  # some are short enough
                assert received <= factor * sent


def test_two_servers_do_not_talk_for_ever(launch):
    """What another server says of words that it does not know is not answered."""
    with launch() as running, Udp() as udp:
        assert udp.ask(b"STORED\r\n") == b"ERROR\r\n"
        before = counter(running, "udp_malformed")
        for answer in (b"ERROR\r\n", b"ERROR\r\nERROR\r\n", b"ERROR\r\nmn\r\n"):
            udp.send(answer)
            assert udp.silent()
        assert comes_to(running, "udp_malformed", before + 3)
        assert udp.ask(b"mn\r\n") == b"MN\r\n"


@pytest.mark.parametrize("address", ("198.18.211.255", "255.255.255.255"))
def test_a_broadcast_is_answered_to_the_list_alone(launch, address):
    """All servers of a link would answer the one request."""
    with launch(options=["--udp-allow", "none"]) as running, frames.Wire(running.lab) as wire:
        for allowed in ("none", "198.18.0.0/15"):
            configure(running, "udp-allow", allowed)
            taken = counter(running, "udp_requests")
            with Tally(running.lab) as tally:
                packet = frames.ipv4(UDP, frames.udp(4000, datagram(b"mn\r\n"), no_checksum=True), dst=address)
                wire.send(packet, mac="ff:ff:ff:ff:ff:ff")
                assert comes_to(running, "udp_requests", taken + 1)
                tally.until_quiet()
            assert tally.answers == ({} if allowed == "none" else {1: 8 + 4})
        assert counter(running, "udp_amplified") == 1


def test_answers_to_others_stay_within_the_factor(launch):
    options = [*DUAL, "--udp-allow", "none", "--udp-rate", "0"]
    with launch(options=options) as running:
        running.lab.client.ip("addr", "add", f"{CLIENT6}/64", "dev", running.lab.client_iface(), "nodad")
        for address in (SERVER_IP, SERVER6):
            with Udp(address=address) as udp:
                configure(running, "udp-amplification", 1)
                assert udp.ask(b"set k 0 0 20\r\n%s\r\n" % bytes(20 * b"x")) == b"STORED\r\n"
                assert udp.ask(b"get none\r\n") == b"END\r\n"
                udp.send(b"get k\r\n")
                assert udp.silent()
                # an answer of 8 + 39 bytes to a request of 8 + 7
                configure(running, "udp-amplification", 3)
                udp.send(b"get k\r\n")
                assert udp.silent()
                configure(running, "udp-amplification", 4)
                assert udp.ask(b"get k\r\n") == value_reply(b"k", 20 * b"x")
                # many datagrams count with their headers
                assert udp.ask(b"set l 0 0 4000\r\n%s\r\n" % noise(4000)) == b"STORED\r\n"
                configure(running, "udp-amplification", 4100 // 15)
                udp.send(b"get l\r\n")
                assert udp.silent()
                configure(running, "udp-amplification", 400)
                assert udp.ask(b"get l\r\n") == value_reply(b"l", noise(4000))
        assert comes_to(running, "udp_amplified", 6)
