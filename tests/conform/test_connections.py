# SPDX-License-Identifier: BSD-3-Clause
"""Connections: many, half-closed, reset, and storms of them."""

import errno
import selectors
import socket

import pytest

from netlab import PORT, SERVER_IP
from server import KIND
from wire import Tcp, eventually, noise, value_reply

STORM = 500


def curr_connections():
    with Tcp() as conn:
        return int(conn.stats()["curr_connections"])


@pytest.fixture
def steady(server):
    """Whatever the test does, the count of connections comes back to where it was."""
    before = curr_connections()
    yield
    assert eventually(lambda: curr_connections() <= before, 20), "connections were left over"


def test_200_connections_at_once(steady):
    conns = [Tcp() for _ in range(200)]
    for turn in range(5):
        for n, conn in enumerate(conns):
            conn.send(b"set k%d 0 0 8\r\n%04d%04d\r\nget k%d\r\n" % (n, n, turn, n))
        for n, conn in enumerate(conns):
            expected = b"STORED\r\n" + value_reply(b"k%d" % n, b"%04d%04d" % (n, turn))
            assert conn.read(len(expected)) == expected
    assert curr_connections() > 200
    for conn in conns:
        conn.close()


def test_half_closed_connection_gets_its_replies(steady):
    value = noise(100 << 10)
    with Tcp() as conn:
        conn.set(b"k", value)
        conn.send(b"get k\r\n" * 50)
        conn.sock.shutdown(socket.SHUT_WR)
        expected = value_reply(b"k", value) * 50
        assert conn.read(len(expected) + 1) == expected


def test_request_and_fin_in_one_segment(steady):
    for _ in range(20):
        with Tcp() as conn:
            conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            conn.send(b"version\r\n")
            conn.sock.shutdown(socket.SHUT_WR)
            assert conn.line().startswith(b"VERSION ")
            assert conn.line() == b""


def test_quit_ends_the_connection_after_earlier_replies(steady):
    with Tcp() as conn:
        conn.send(b"mn\r\nmn\r\nquit\r\nmn\r\n")
        assert conn.read(100) == b"MN\r\nMN\r\n"


def test_clients_that_quit_and_never_close_are_let_go(launch):
    with launch():
        before = curr_connections()
        conns = [Tcp() for _ in range(20)]
        for conn in conns:
            conn.send(b"quit\r\n")
            assert conn.read(1) == b""
        assert eventually(lambda: curr_connections() <= before), "they keep their connections"
        for conn in conns:
            conn.close()


def test_storm_of_connections_closed_at_once(steady):
    for _ in range(STORM):
        socket.create_connection((SERVER_IP, PORT), timeout=10).close()


def test_storm_of_connections_reset_at_once(steady):
    for _ in range(STORM):
        Tcp().reset()


def test_storm_of_connections_reset_in_the_middle(steady):
    """Left with half a command, half a value, or replies on the way."""
    with Tcp() as conn:
        conn.set(b"k", noise(50 << 10))
    leftovers = (b"get ", b"set x 0 0 100\r\nhalf", b"get k\r\n" * 20, b"mg k v\r\nms z ")
    for i in range(STORM):
        conn = Tcp()
        conn.send(leftovers[i % len(leftovers)])
        conn.reset() if i % 2 else conn.close()


def test_storm_of_reconnects_with_a_request_each(steady):
    for i in range(STORM):
        with Tcp() as conn:
            assert conn.ask(b"set k%d 0 0 1\r\nx\r\n" % i) == b"STORED\r\n"


def test_500_connections_opened_together(steady):
    """SYNs without a pause between them."""
    waiting = selectors.DefaultSelector()
    for _ in range(STORM):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex((SERVER_IP, PORT))
        waiting.register(sock, selectors.EVENT_WRITE)
    socks = []
    while waiting.get_map():
        ready = waiting.select(timeout=10)
        assert ready, f"{len(waiting.get_map())} connections never opened"
        for key, _ in ready:
            waiting.unregister(key.fileobj)
            assert key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            key.fileobj.setblocking(True)
            key.fileobj.settimeout(10)
            socks.append(key.fileobj)
    for sock in socks:
        sock.sendall(b"mn\r\n")
    for sock in socks:
        assert sock.recv(100) == b"MN\r\n"
        sock.close()


def test_same_port_again_right_after_close(steady):
    """The server closes first and is in TIME-WAIT when the same port comes back. (Until it has
    acknowledged the FIN, the client's kernel does not give the port away.)"""
    for _ in range(50):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.settimeout(10)
            sock.bind(("", 41999))
            eventually(lambda: sock.connect_ex((SERVER_IP, PORT)) != errno.EADDRNOTAVAIL, 5, 0.001)
            sock.sendall(b"quit\r\n")
            assert sock.recv(100) == b""


def test_idle_connection_stays_open(tcp):
    with Tcp() as idle:
        for _ in range(300):
            assert tcp.ask(b"mn\r\n") == b"MN\r\n"
        assert idle.ask(b"mn\r\n") == b"MN\r\n"


def serves():
    """A new connection, or None where the server refuses it or lets it wait, as memcached does."""
    try:
        conn = Tcp(timeout=10 if KIND == "lcached" else 0.5)
        if conn.ask(b"mn\r\n") == b"MN\r\n":
            return conn
        conn.close()
    except OSError:
        pass
    return None


def test_more_connections_than_allowed(launch):
    """With -c 50 the 51st is refused or waits; the others go on, and room comes back."""
    with launch(options=["-c", "50"]):
        conns = []
        while len(conns) < 80 and (conn := serves()):
            conns.append(conn)
        assert 30 <= len(conns) <= 50, len(conns)
        assert all(conn.ask(b"mn\r\n") == b"MN\r\n" for conn in conns)
        for conn in conns:
            conn.close()
        assert eventually(serves, 10)
