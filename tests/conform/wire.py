# SPDX-License-Identifier: BSD-3-Clause
"""Plain sockets that speak the text protocol, over TCP and in UDP frames."""

import random
import socket
import struct
import threading
import time

from netlab import PORT, SERVER_IP

UDP_PAYLOAD_MAX = 1392  # what memcached puts into one reply datagram after its 8 bytes


def noise(length, seed=1):
    """length bytes without structure, the same for the same seed."""
    return random.Random(seed).randbytes(length)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def value_reply(key, value, flags=0):
    return b"VALUE %s %d %d\r\n%s\r\nEND\r\n" % (key, flags, len(value), value)


class Tcp:
    """A connection with a buffered reader. Requests go out as they are given."""

    def __init__(self, timeout=10, receive_buffer=None, address=SERVER_IP, segment=None):
        self.sock = socket.socket(family(address))
        if receive_buffer:  # before connecting: the window scale is settled by the SYN
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if segment:  # the largest that it takes
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        self.sock.settimeout(timeout)
        self.sock.connect((address, PORT))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb", buffering=256 * 1024)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.sock.close()

    def reset(self):
        """Leaves with a RST instead of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def send(self, data):
        self.sock.sendall(data)

    def send_aside(self, data):
        """Sends from a thread, so that the caller can read the replies meanwhile."""
        thread = threading.Thread(target=self.sock.sendall, args=(data,), daemon=True)
        thread.start()
        return thread

    def line(self):
        return self.file.readline()

    def read(self, length):
        """length bytes, or fewer at the end of the stream."""
        return self.file.read(length)

    def ask(self, data):
        """One request whose answer is one line."""
        self.send(data)
        return self.line()

    def set(self, key, value, flags=0, exptime=0):
        return self.ask(b"set %s %d %d %d\r\n%s\r\n" % (key, flags, exptime, len(value), value))

    def get(self, key):
        """The value, or None."""
        self.send(b"get %s\r\n" % key)
        return self.values().get(key)

    def values(self):
        """The VALUE blocks up to END, as a dictionary in the order they came."""
        found = {}
        while True:
            line = self.line()
            if line == b"END\r\n":
                return found
            word, key, _flags, length = line.split()[:4]
            assert word == b"VALUE", line
            found[key] = self.read(int(length))
            assert self.read(2) == b"\r\n"

    def stats(self, section=b""):
        self.send(b"stats%s\r\n" % (b" " + section if section else b""))
        found = {}
        while True:
            line = self.line()
            if line == b"END\r\n":
                return found
            assert line.startswith(b"STAT ") and line.endswith(b"\r\n"), line
            key, _, value = line[5:-2].decode().partition(" ")
            assert key not in found, f"{key} twice"
            found[key] = value

    def closed_by_server(self):
        """True when the stream ends (whatever is still unread is dropped)."""
        try:
            while self.file.read1(65536):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True


def reply_of(request, length, timeout=10):
    """Sends on a fresh connection and returns the first `length` bytes that come back."""
    with Tcp(timeout) as conn:
        conn.send(request)
        return conn.read(length)


def eventually(check, seconds=30, step=0.05):
    """Polls until check() is true; returns its last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(step)


class Udp:
    """A UDP socket that speaks memcached's frames."""

    def __init__(self, timeout=5, address=SERVER_IP):
        self.sock = socket.socket(family(address), socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.connect((address, PORT))
        self.sock.settimeout(timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, payload, request_id=1, seq=0, total=1, reserved=0):
        self.sock.send(struct.pack("!HHHH", request_id, seq, total, reserved) + payload)

    def datagram(self):
        """The next datagram: (request id, sequence, total, reserved), payload."""
        data = self.sock.recv(65536)
        assert len(data) >= 8, data
        return struct.unpack("!HHHH", data[:8]), data[8:]

    def reply(self, request_id=1):
        """All datagrams of one reply, which must come in order; returns the joined payload."""
        payload, expected, total = b"", 0, None
        while total is None or expected < total:
            (got_id, seq, of, reserved), part = self.datagram()
            assert (got_id, seq, reserved) == (request_id, expected, 0)
            assert total in (None, of), "total changes between datagrams"
            assert len(part) <= UDP_PAYLOAD_MAX
            total, payload, expected = of, payload + part, expected + 1
        return payload

    def ask(self, payload, request_id=1):
        self.send(payload, request_id)
        return self.reply(request_id)

    def silent(self, seconds=0.3):
        """True when nothing arrives for a while."""
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self.sock.recv(65536)
            return False
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(before)
