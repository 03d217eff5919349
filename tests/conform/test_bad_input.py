# SPDX-License-Identifier: BSD-3-Clause
"""Broken requests over TCP: memcached's own error, the connection closed where it closes, and the
server goes on with everything that it had."""

import random
import socket

import pytest

from server import KIND
from wire import Tcp, noise

BAD_FORMAT = b"CLIENT_ERROR bad command line format\r\n"
MIB = 1 << 20


@pytest.fixture(autouse=True)
def nothing_is_lost(server):
    """What was stored before the broken input is there after it."""
    keys = [b"kept%d" % i for i in range(50)]
    with Tcp() as conn:
        for key in keys:
            assert conn.set(key, key * 3) == b"STORED\r\n"
    yield
    with Tcp() as conn:
        assert [conn.get(key) for key in keys] == [key * 3 for key in keys]


def test_key_of_251_bytes(tcp):
    long = b"k" * 251
    assert tcp.ask(b"get %s\r\n" % long) == BAD_FORMAT
    assert tcp.ask(b"delete %s\r\n" % long) == BAD_FORMAT
    assert tcp.ask(b"incr %s 1\r\n" % long) == BAD_FORMAT
    assert tcp.ask(b"touch %s 1\r\n" % long) == BAD_FORMAT
    assert tcp.ask(b"mg %s v\r\n" % long) == BAD_FORMAT
    assert tcp.ask(b"mn\r\n") == b"MN\r\n"


def test_key_of_250_bytes_is_a_key(tcp):
    key = b"k" * 250
    assert tcp.set(key, b"x") == b"STORED\r\n"
    assert tcp.get(key) == b"x"


def test_set_with_a_key_of_251_bytes(server):
    with Tcp() as conn:
        assert conn.ask(b"set %s 0 0 1\r\n" % (b"k" * 251)).startswith(b"CLIENT_ERROR")


@pytest.mark.parametrize("length", (b"-1", b"-2147483649", b"x", b"1x", b"99999999999999999999"))
def test_impossible_length(tcp, length):
    answer = tcp.ask(b"set k 0 0 %s\r\n" % length)
    assert answer in (BAD_FORMAT, b"CLIENT_ERROR bad data chunk\r\n")


def test_length_of_2_gib(server):
    """Refused at once; memcached swallows what follows, however long that may be."""
    with Tcp() as conn:
        answer = conn.ask(b"set k 0 0 2147483647\r\n")
        assert answer in (BAD_FORMAT, b"SERVER_ERROR object too large for cache\r\n")


def test_value_without_its_end(tcp):
    """The data block is longer than was said: an error, and the connection finds its way back."""
    tcp.send(b"set k 0 0 3\r\nabcdef\r\n")
    assert tcp.line() == b"CLIENT_ERROR bad data chunk\r\n"
    tcp.send(b"\r\nmn\r\n")
    lines = [tcp.line()]
    while lines[-1] != b"MN\r\n":
        assert lines[-1].startswith((b"ERROR", b"CLIENT_ERROR"))
        lines.append(tcp.line())
    assert tcp.get(b"k") is None


def test_line_of_10_mib_without_newline(server):
    """Closed after the first few thousand bytes; nothing of it is kept."""
    before = server.rss_bytes()
    with Tcp() as conn:
        try:
            for _ in range(160):
                conn.send(b"a" * (64 << 10))
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert conn.closed_by_server()
    assert server.rss_bytes() - before < 8 * MIB


def test_get_of_10_mib_without_newline(server):
    """memcached reads a long get on; whatever the server does, its memory is bounded."""
    before = server.rss_bytes()
    with Tcp(timeout=3) as conn:
        try:
            conn.send(b"get ")
            for _ in range(160):
                conn.send(b"key " * (16 << 10))
        except OSError:
            pass
    assert server.rss_bytes() - before < 32 * MIB


def test_empty_and_blank_lines(tcp):
    tcp.send(b"\r\n\n  \r\nmn\r\n")
    # until 1.6.18 ERROR
    empty = b"CLIENT_ERROR bad command line format\r\n" if KIND == "lcached" else b"ERROR\r\n"
    assert [tcp.line() for _ in range(4)] == [empty, empty, b"ERROR\r\n", b"MN\r\n"]


@pytest.mark.parametrize(
    "line",
    (
        b"get",
        b"set k",
        b"set k 0 0",
        b"set k x 0 1",
        b"set k 0 x 1",
        b"incr k",
        b"incr k x",
        b"cas k 0 0 1",
        b"touch k",
        b"delete",
        b"gat",
        b"gat x k",
        b"flush_all x",
        b"no_such_command with arguments",
        b"GET k",
        b"\x00\x01\x02",
    ),
)
def test_broken_line_is_an_error(tcp, line):
    answer = tcp.ask(line + b"\r\n")
    assert answer.startswith((b"ERROR", b"CLIENT_ERROR")) and answer.endswith(b"\r\n")


def test_garbage_on_tcp(server):
    """Random bytes: any error is right, a closed connection too, silence in a half line as well."""
    for seed in range(100):
        body = noise(random.Random(seed).randrange(1, 5000), seed)
        with Tcp(timeout=5) as conn:
            try:
                conn.send(body)
                conn.sock.shutdown(socket.SHUT_WR)
                assert conn.closed_by_server()
            except (BrokenPipeError, ConnectionResetError):
                pass


def test_garbage_made_of_commands(server):
    """Words of the protocol in every order: closer to what a parser gets wrong."""
    words = (
        b"get set gets cas incr ms mg md ma me mn 0 1 -1 4294967295 18446744073709551615 k kk "
        b"noreply v t T0 O123 q b k c s I MA \r\n \r\n \r\n \n \r \0 VALUE STORED stats verbosity"
    ).split(b" ")
    for seed in range(200):
        source = random.Random(seed)
        body = b" ".join(source.choice(words) for _ in range(source.randrange(1, 300)))
        with Tcp(timeout=5) as conn:
            try:
                conn.send(body)
                conn.sock.shutdown(socket.SHUT_WR)
                assert conn.closed_by_server()
            except (BrokenPipeError, ConnectionResetError):
                pass


def test_other_protocols_on_our_port(server):
    """A browser, a TLS client and Redis knock at the wrong door."""
    hello = bytes.fromhex("16030100c8010000c40303") + noise(200)
    redis = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
    for body in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", hello, redis):
        with Tcp(timeout=5) as conn:
            conn.send(body)
            conn.sock.shutdown(socket.SHUT_WR)
            assert conn.closed_by_server()
