# SPDX-License-Identifier: BSD-3-Clause
"""memcached's UDP frames: the header, replies over several datagrams, and broken requests."""

import random
import socket
import struct

import pytest

from netlab import SERVER_IP
from wire import Tcp, Udp, noise, value_reply


def test_set_and_get(udp):
    assert udp.ask(b"set k 5 0 3\r\nabc\r\n") == b"STORED\r\n"
    assert udp.ask(b"get k\r\n") == value_reply(b"k", b"abc", flags=5)


def test_other_commands(udp):
    assert udp.ask(b"version\r\n").startswith(b"VERSION ")
    assert udp.ask(b"set n 0 0 1\r\n1\r\n") == b"STORED\r\n"
    assert udp.ask(b"incr n 41\r\n") == b"42\r\n"
    assert udp.ask(b"delete n\r\n") == b"DELETED\r\n"
    assert udp.ask(b"get n\r\n") == b"END\r\n"
    assert udp.ask(b"mn\r\n") == b"MN\r\n"
    assert udp.ask(b"nonsense\r\n") == b"ERROR\r\n"


def test_tcp_and_udp_see_the_same_items(tcp, udp):
    for i in range(30):  # more than one shard
        assert tcp.set(b"k%d" % i, b"%d" % i) == b"STORED\r\n"
        assert udp.ask(b"get k%d\r\n" % i) == value_reply(b"k%d" % i, b"%d" % i)
        assert udp.ask(b"delete k%d\r\n" % i) == b"DELETED\r\n"
        assert tcp.get(b"k%d" % i) is None


@pytest.mark.parametrize("request_id", (0, 1, 255, 256, 65535))
def test_request_id_comes_back(udp, request_id):
    assert udp.ask(b"mn\r\n", request_id) == b"MN\r\n"


def test_sequence_and_reserved_of_a_request_are_ignored(udp):
    for seq, reserved in ((0, 0), (1, 0), (65535, 0), (0, 1), (7, 65535)):
        udp.send(b"mn\r\n", request_id=9, seq=seq, reserved=reserved)
        assert udp.reply(9) == b"MN\r\n"


@pytest.mark.parametrize("size", (1300, 1391, 1392, 1393, 3000, 10000, 100 << 10))
def test_reply_over_several_datagrams_in_order(tcp, udp, size):
    value = noise(size)
    assert tcp.set(b"k", value) == b"STORED\r\n"
    udp.send(b"get k\r\n", request_id=77)
    assert udp.reply(77) == value_reply(b"k", value)


@pytest.mark.lcached_only("each key of its multi-get is a message of its own")
def test_multiget_is_one_message(tcp, udp):
    values = {b"key%d" % i: noise(200, i) for i in range(60)}
    for key, value in values.items():
        assert tcp.set(key, value) == b"STORED\r\n"
    expected = b"".join(b"VALUE %s 0 200\r\n%s\r\n" % pair for pair in values.items())
    assert udp.ask(b"get %s\r\n" % b" ".join(values), 3) == expected + b"END\r\n"


def test_many_requests_in_flight(udp):
    """A window of 32 requests; every one of 2,000 is answered, with its own id."""
    assert udp.ask(b"set k 0 0 1\r\nx\r\n") == b"STORED\r\n"
    expected = value_reply(b"k", b"x")
    for first in range(0, 2000, 32):
        ids = set(range(first, first + 32))
        for request_id in ids:
            udp.send(b"get k\r\n", request_id)
        while ids:
            (request_id, *_), payload = udp.datagram()
            assert payload == expected
            ids.remove(request_id)


def test_two_clients_are_kept_apart(server):
    with Udp() as one, Udp() as two:
        one.send(b"set a 0 0 1\r\n1\r\n", 1)
        two.send(b"set b 0 0 1\r\n2\r\n", 1)
        assert one.reply(1) == two.reply(1) == b"STORED\r\n"
        assert one.ask(b"get b\r\n", 5) == value_reply(b"b", b"2")
        assert two.ask(b"get a\r\n", 6) == value_reply(b"a", b"1")


def test_noreply_is_silent(udp):
    udp.send(b"set k 0 0 1 noreply\r\nx\r\n")
    assert udp.silent()
    assert udp.ask(b"get k\r\n") == value_reply(b"k", b"x")


@pytest.mark.parametrize(
    "datagram",
    (
        b"",
        b"x",
        struct.pack("!HHH", 1, 0, 1),
        struct.pack("!HHHH", 1, 0, 1, 0),  # a header and nothing else
        struct.pack("!HHHH", 1, 0, 2, 0) + b"mn\r\n",  # a request of two datagrams
        struct.pack("!HHHH", 1, 0, 0, 0) + b"mn\r\n",
        struct.pack("!HHHH", 1, 0, 65535, 0) + b"mn\r\n",
    ),
    ids=("empty", "1 byte", "6 bytes", "8 bytes", "total 2", "total 0", "total 65535"),
)
def test_broken_frame_is_dropped_silently(udp, datagram):
    udp.sock.send(datagram)
    assert udp.silent()
    assert udp.ask(b"mn\r\n") == b"MN\r\n"


def test_garbage_after_a_good_header(udp):
    """An error, or nothing; the next request is answered whatever came before."""
    for seed in range(100):
        payload = noise(random.Random(seed).randrange(1, 1400), seed)
        udp.send(payload, request_id=100)
    with Udp() as other:
        assert other.ask(b"mn\r\n") == b"MN\r\n"


def test_garbage_instead_of_a_header(udp):
    for seed in range(200):
        udp.sock.send(noise(random.Random(seed).randrange(0, 60), seed))
    with Udp() as other:
        assert other.ask(b"mn\r\n") == b"MN\r\n"


@pytest.mark.lcached_only("a truncated set swallows datagrams of other clients")
@pytest.mark.parametrize("request_bytes", (b"set k 0 0 100\r\nabc", b"set k 0 0 3\r\n", b"set k"))
def test_truncated_request_concerns_nobody_else(server, request_bytes):
    with Udp() as broken, Udp() as other:
        for _ in range(20):
            broken.send(request_bytes)
            assert other.ask(b"mn\r\n") == b"MN\r\n"
        assert other.ask(b"get k\r\n") == b"END\r\n"


def test_datagram_larger_than_a_packet(udp):
    """The kernel sends it in IP fragments."""
    value = noise(5000)
    assert udp.ask(b"set k 0 0 5000\r\n%s\r\n" % value) == b"STORED\r\n"
    with Tcp() as conn:
        assert conn.get(b"k") == value


def test_udp_is_off_unless_asked_for(launch):
    with launch(udp=False) as special:
        assert special.lab.kind == "memcached" or " udp off " in special.ready_line + " "
        with Udp(timeout=1) as closed:
            try:
                closed.send(b"version\r\n")
                closed.datagram()
                raise AssertionError("answered")
            except (ConnectionRefusedError, TimeoutError):
                pass
        with Tcp() as conn:
            assert conn.ask(b"mn\r\n") == b"MN\r\n"


def test_unbound_udp_port_is_reported_unreachable(server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((SERVER_IP, 9))
        sock.settimeout(10)
        sock.send(b"discard")
        with pytest.raises(ConnectionRefusedError):
            sock.recv(100)
