# SPDX-License-Identifier: BSD-3-Clause
"""Packets that no honest kernel sends. What is wrong is dropped without an answer."""

import random
import socket
import struct

import pytest

import frames
from frames import ACK, FIN, RST, SYN, Wire
from netlab import SERVER_IP
from server import KIND
from telemetry import Telemetry
from wire import Tcp, Udp, eventually, noise

QUIET_S = 0.3
ANSWER_S = 10
REQUEST = struct.pack("!HHHH", 9, 0, 1, 0) + b"mn\r\n"


@pytest.fixture
def wire(server):
    with Tcp() as conn:  # so that the server's MAC is known
        conn.ask(b"mn\r\n")
    with Wire(server.lab) as made:
        yield made


@pytest.fixture
def udp_port(server):
    """A bound socket, so that the kernel hands us the answer to a packet made by hand."""
    with Udp() as sock:
        yield sock, sock.sock.getsockname()[1]


def free_port():
    """No socket listens there: the kernel resets what the server accepts."""
    return random.randrange(20000, 30000)


def test_right_checksums_are_answered(wire, udp_port):
    sock, port = udp_port
    wire.send(frames.ipv4(17, frames.udp(port, REQUEST)))
    assert sock.reply(9) == b"MN\r\n"
    port = free_port()
    wire.send(frames.ipv4(6, frames.tcp(port, SYN)))
    assert wire.tcp_answer(port, ANSWER_S) == SYN | ACK


def test_udp_without_a_checksum_is_answered(wire, udp_port):
    sock, port = udp_port
    wire.send(frames.ipv4(17, frames.udp(port, REQUEST, no_checksum=True)))
    assert sock.reply(9) == b"MN\r\n"


@pytest.mark.parametrize(
    "ip_fields, udp_fields",
    (
        ({"wrong_checksum": True}, {}),
        ({}, {"wrong_checksum": True}),
        ({}, {"length": 4}),
        ({}, {"length": 2000}),
        ({"total_length": 2000}, {}),
        ({"total_length": 10}, {}),
        ({"version_ihl": 0x65}, {}),
        ({"version_ihl": 0x41}, {}),
        ({"src": "127.0.0.1"}, {}),
        ({"src": "224.0.0.1"}, {}),
    ),
)
def test_broken_udp_is_dropped(wire, udp_port, ip_fields, udp_fields):
    sock, port = udp_port
    wire.send(frames.ipv4(17, frames.udp(port, REQUEST, **udp_fields), **ip_fields))
    assert sock.silent(QUIET_S)
    assert sock.ask(b"mn\r\n") == b"MN\r\n"


@pytest.mark.parametrize(
    "ip_fields, tcp_fields",
    (
        ({"wrong_checksum": True}, {}),
        ({}, {"wrong_checksum": True}),
        ({}, {"offset": 4}),
        ({}, {"offset": 15}),
        ({"total_length": 30}, {}),
    ),
)
def test_broken_syn_is_dropped(wire, ip_fields, tcp_fields):
    port = free_port()
    wire.send(frames.ipv4(6, frames.tcp(port, SYN, **tcp_fields), **ip_fields))
    assert wire.tcp_answer(port, QUIET_S) is None


def test_segment_for_no_connection_is_reset(wire):
    port = free_port()
    wire.send(frames.ipv4(6, frames.tcp(port, ACK, ack=77)))
    assert wire.tcp_answer(port, ANSWER_S) & RST
    wire.send(frames.ipv4(6, frames.tcp(port, RST)))
    assert wire.tcp_answer(port, QUIET_S) is None


def test_forged_segments_leave_a_connection_alone(wire, tcp):
    """Off by the window, with a wrong checksum, or a blind RST or SYN: the connection goes on."""
    port = tcp.sock.getsockname()[1]
    random_source = random.Random(5)
    for _ in range(200):
        flags = random_source.choice((FIN | ACK, RST, SYN, ACK, SYN | ACK, RST | ACK))
        segment = frames.tcp(
            port,
            flags,
            seq=random_source.randrange(1 << 32),
            ack=random_source.randrange(1 << 32),
            payload=b"flush_all\r\n",
            wrong_checksum=bool(flags & (FIN | RST)),
        )
        wire.send(frames.ipv4(6, segment))
    assert tcp.set(b"k", b"x") == b"STORED\r\n"
    assert tcp.get(b"k") == b"x"


def test_random_frames(wire, udp_port):
    """Noise of every length behind each header that is parsed."""
    source = random.Random(11)
    for seed in range(600):
        if seed % 100 == 0:  # a server that has no CPU for a while would lose what comes then
            assert eventually(lambda: answered(udp_port[0], seed))
        body = noise(source.randrange(0, 200), seed)
        kind = seed % 6
        if kind == 0:
            wire.send(body, kind=source.randrange(0x600, 0x10000))
        elif kind == 1:
            wire.send(body, kind=0x0806)  # ARP
        elif kind == 2:
            wire.send(body, kind=0x8100)  # VLAN
        elif kind == 3:
            wire.send(body)
        else:
            wire.send(frames.ipv4(source.choice((1, 6, 17, 50)), body))
    assert eventually(lambda: answered(udp_port[0], 600))
    with Tcp() as conn:
        assert conn.ask(b"mn\r\n") == b"MN\r\n"


def answered(sock, number):
    """Whether a datagram is; the device's queue may have been too full for it."""
    sock.send(b"mn\r\n", number)
    try:
        return sock.reply(number) == b"MN\r\n"
    except TimeoutError:
        return False


def test_fragments_that_never_become_whole(wire, udp_port):
    """First fragments alone, overlapping ones, and far too many: none is answered or kept."""
    port = udp_port[1]
    for i in range(300):
        wire.send(frames.ipv4(17, frames.udp(port, REQUEST), fragment=0x2000 | i % 50))
    assert udp_port[0].silent(QUIET_S)
    assert udp_port[0].ask(b"mn\r\n", 8) == b"MN\r\n"  # before any other answer


def take_turns(count):
    """Returns when each worker has had so many turns: their counters come from all of them. A turn takes
    32 frames from the device's queue."""
    with Tcp(30) as conn:
        for _ in range(count):
            conn.stats()


def test_syns_without_an_end(server, wire):
    """Half-open connections that the client's kernel resets do not keep real clients out."""
    for port in range(10000, 12000):
        wire.send(frames.ipv4(6, frames.tcp(port, SYN)))

    def serves():
        try:
            with Tcp(timeout=5) as conn:
                return conn.ask(b"mn\r\n") == b"MN\r\n"
        except OSError:
            return False

    assert eventually(serves)
    # 2,000 RSTs of the kernel's at once may be too many for the link, as may ours be; and what is left
    # half-open lasts longer than the wait for memory to come back.
    assert eventually(lambda: reset_all(server, wire) == 0)


def reset_all(server, wire):
    """How many are half-open all the same."""
    for port in range(10000, 12000):
        wire.send(frames.ipv4(6, frames.tcp(port, RST, seq=1001)))
        if port % 50 == 0:
            take_turns(4)
    if KIND == "memcached":  # the kernel's
        return 0
    with Telemetry(server.process.pid) as telemetry:
        return telemetry.ask("/lcached/info,tcp")["tcp_half_open"]


def test_echo_request_is_answered(server):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(ANSWER_S)
        for size in (0, 56, 1000, 4000):  # the last one in fragments
            body = noise(size)
            head = struct.pack("!BBHHH", 8, 0, 0, 321, size)
            head = struct.pack("!BBHHH", 8, 0, frames.checksum(head + body), 321, size)
            sock.sendto(head + body, (SERVER_IP, 0))
            while True:
                answer = sock.recv(65536)[20:]
                if answer[0] == 0 and answer[4:8] == head[4:8]:
                    break
            assert answer[8:] == body
