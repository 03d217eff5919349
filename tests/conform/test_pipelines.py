# SPDX-License-Identifier: BSD-3-Clause
"""Many requests in flight: order, completeness, and memory that stays bounded."""

import socket
import time

import pytest

from server import SLOW
from telemetry import Telemetry
from wire import Tcp, noise, value_reply

MIB = 1 << 20


def test_10000_gets_in_one_write(tcp):
    for i in range(0, 10000, 2):
        tcp.send(b"set k%d 0 0 5 noreply\r\n%05d\r\n" % (i, i))
    assert tcp.get(b"k9998") == b"09998"
    tcp.send_aside(b"".join(b"get k%d\r\n" % i for i in range(10000)))
    expected = b"".join(
        b"END\r\n" if i % 2 else value_reply(b"k%d" % i, b"%05d" % i) for i in range(10000)
    )
    assert tcp.read(len(expected)) == expected


def test_10000_sets_in_one_write(tcp):
    tcp.send_aside(b"".join(b"set k%d 0 0 4\r\nv%03d\r\n" % (i, i % 1000) for i in range(10000)))
    assert tcp.read(8 * 10000) == b"STORED\r\n" * 10000
    for i in (0, 1, 5000, 9999):
        assert tcp.get(b"k%d" % i) == b"v%03d" % (i % 1000)


def test_every_command_in_one_pipeline_answers_in_order(tcp):
    """Neighbours go to different shards, and some are answered without any."""
    request, expected = [], []
    for i in range(500):
        key, other = b"a%d" % i, b"b%d" % (i * 7)
        request.append(
            b"set %s 0 0 1\r\n5\r\nversion_\r\nincr %s 3\r\nmn\r\nget %s %s\r\n"
            b"delete %s\r\nadd %s 0 0 1\r\nx\r\nmg %s v\r\nmd %s q\r\n"
            % (key, key, other, key, key, key, key, key)
        )
        expected.append(
            b"STORED\r\nERROR\r\n8\r\nMN\r\nVALUE %s 0 1\r\n8\r\nEND\r\n"
            b"DELETED\r\nSTORED\r\nVA 1\r\nx\r\n" % key
        )
    tcp.send_aside(b"".join(request))
    expected = b"".join(expected)
    assert tcp.read(len(expected)) == expected


def test_multiget_of_1000_keys_keeps_their_order(tcp):
    """Spread over all shards; every seventh key is missing, one comes twice."""
    keys = [b"key-%d" % (i * 31) for i in range(1000)]
    for i, key in enumerate(keys):
        if i % 7:
            tcp.send(b"set %s %d 0 %d noreply\r\n%s\r\n" % (key, i, len(key) * 2, key * 2))
    asked = keys + [keys[1]]
    tcp.send(b"get %s\r\n" % b" ".join(asked))
    expected = b"".join(
        b"VALUE %s %d %d\r\n%s\r\n" % (key, i % 1000, len(key) * 2, key * 2)
        for i, key in enumerate(keys)
        if i % 7
    )
    expected += b"VALUE %s 1 %d\r\n%s\r\nEND\r\n" % (keys[1], len(keys[1]) * 2, keys[1] * 2)
    assert tcp.read(len(expected)) == expected


def test_multiget_of_10000_keys_keeps_their_order(tcp):
    """In one line of 100 KB, a tenth of them missing."""
    keys = [b"k%04d" % (i * 7919 % 10000) for i in range(10000)]
    tcp.send_aside(
        b"".join(b"set %s 0 0 5 noreply\r\n%s\r\n" % (key, key) for key in keys if key[-1:] != b"3")
        + b"get "
        + b" ".join(keys)
        + b"\r\n"
    )
    expected = b"".join(
        b"VALUE %s 0 5\r\n%s\r\n" % (key, key) for key in keys if key[-1:] != b"3"
    )
    expected += b"END\r\n"
    assert tcp.read(len(expected)) == expected


def test_multiget_of_large_values(tcp):
    values = {b"k%d" % i: noise(100 << 10, i) for i in range(40)}
    for key, value in values.items():
        assert tcp.set(key, value) == b"STORED\r\n"
    tcp.send(b"get %s\r\n" % b" ".join(values))
    found = tcp.values()
    assert list(found) == list(values) and found == values


def test_large_values_in_a_pipeline(tcp):
    """Sets and gets of 300 KiB in turn, written without waiting."""
    values = [noise(300 << 10, i) for i in range(30)]
    tcp.send_aside(
        b"".join(
            b"set k%d 0 0 %d\r\n%s\r\nget k%d\r\n" % (i, len(value), value, i)
            for i, value in enumerate(values)
        )
    )
    for i, value in enumerate(values):
        expected = b"STORED\r\n" + value_reply(b"k%d" % i, value)
        assert tcp.read(len(expected)) == expected


@pytest.mark.parametrize("size", (10, 100 << 10))
def test_client_that_never_reads_is_not_read_either(server, size):
    """It is stopped after a bounded number of bytes, memory stays, and others are served."""
    with Tcp(2, receive_buffer=64 << 10) as deaf, Tcp() as other:
        assert deaf.set(b"k", noise(size)) == b"STORED\r\n"
        before = server.rss_bytes()
        request = b"get k\r\n" * 4000
        accepted, most = 0, 64 * MIB
        deaf.sock.settimeout(1)
        try:
            while accepted < most:
                accepted += deaf.sock.send(request)
        except TimeoutError:
            pass
        assert accepted < most, "the server reads on although its replies are not taken"
        for i in range(200):
            assert other.set(b"o%d" % i, b"x") == b"STORED\r\n"
            assert other.get(b"o%d" % i) == b"x"
        assert server.rss_bytes() - before < 32 * MIB


QUERY_LIMIT = 256 << 10  # client-query-buffer-limit and client-output-buffer-limit, as by default
OUTPUT_LIMIT = 4 << 20


def clients_bytes(server):
    with Telemetry(server.process.pid) as telemetry:
        memory = telemetry.ask("/lcached/memory")
        return memory["mem_clients_normal"] + memory["mem_pinned"]


@pytest.mark.lcached_only("has no telemetry")
@pytest.mark.limit(120)
def test_100_mib_of_requests_before_the_first_reply_is_read(server):
    """They wait with the client, the server holds no more than its limits; then all are answered."""
    count = (100 * MIB // (4 if SLOW else 1)) // 1024
    request = b"set k%03d 0 0 976\r\n%s\r\nget k%03d\r\n"
    value = noise(976).replace(b"\n", b" ")
    before = clients_bytes(server)
    with Tcp(60, receive_buffer=64 << 10) as deaf, Tcp() as other:
        sender = deaf.send_aside(b"".join(request % (i % 1000, value, i % 1000) for i in range(count)))
        most, quiet = 0, 0
        while quiet < 10:  # the server's count stands still: it reads no more
            now = clients_bytes(server) - before
            quiet = quiet + 1 if now <= most else 0
            most = max(most, now)
            assert other.set(b"other", b"x") == b"STORED\r\n"
            assert other.get(b"other") == b"x"
            time.sleep(0.05)
        assert sender.is_alive(), "the server reads on although its replies are not taken"
        assert 0 < most <= QUERY_LIMIT + OUTPUT_LIMIT
        for i in range(count):
            expected = b"STORED\r\n" + value_reply(b"k%03d" % (i % 1000), value)
            assert deaf.read(len(expected)) == expected
        sender.join(10)
        assert not sender.is_alive()


def test_deaf_client_that_listens_again_gets_everything(server):
    value = noise(20 << 10)
    count = 500 if SLOW else 2000
    with Tcp(30, receive_buffer=64 << 10) as conn:
        assert conn.set(b"k", value) == b"STORED\r\n"
        conn.send_aside(b"get k\r\n" * count)
        time.sleep(1.5)  # longer than a first probe of the closed window
        expected = value_reply(b"k", value)
        for _ in range(count):
            assert conn.read(len(expected)) == expected


@pytest.mark.parametrize("count, size", ((50, 100 << 10), (200, 10)))
def test_many_deaf_clients_take_neither_memory_nor_the_others_turn(server, count, size):
    """Whatever a waiting reply holds, there is enough of it left for clients that do read."""
    before = server.rss_bytes()
    value = noise(size)
    deaf = []
    for n in range(count):
        conn = Tcp(5, receive_buffer=32 << 10)
        conn.set(b"k%d" % (n % 10), value)
        conn.sock.setblocking(False)
        deaf.append(conn)
    for _ in range(20):
        for n, conn in enumerate(deaf):
            try:
                conn.sock.send(b"get k%d\r\n" % (n % 10) * 1000)
            except BlockingIOError:
                pass
        time.sleep(0.02)
    for n in range(30):  # on every worker
        with Tcp() as other:
            assert other.get(b"k%d" % (n % 10)) == value
    assert server.rss_bytes() - before < 64 * MIB
    for conn in deaf:
        conn.close()


def test_sender_that_stops_in_the_middle_of_a_value(server):
    """Its half-filled value is never visible and goes away with it."""
    with Tcp() as other:
        assert other.set(b"k", b"whole") == b"STORED\r\n"
        half = Tcp()
        half.send(b"set k 0 0 1000\r\n" + bytes(500))
        assert other.get(b"k") == b"whole"
        half.sock.shutdown(socket.SHUT_WR)
        assert half.closed_by_server()
        half.close()
        assert other.get(b"k") in (b"whole", None)
