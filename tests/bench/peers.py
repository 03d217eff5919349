# SPDX-License-Identifier: BSD-3-Clause
"""Debian's memcached and redis as caches without a network to speak of: each behind a UNIX socket,
fed with pipelined requests. For what they hold and hit, not for how fast they are."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time

from machine import Trouble

START_S = 20
STOP_S = 20


def installed_ensure():
    missing = [name for name in ("memcached", "redis-server") if not shutil.which(name)]
    if missing:
        command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Peer:
    """One server, and one connection to it."""

    def __init__(self, name, command, path):
        self.name, self.path = name, path
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        self.socket = self.connect()
        self.buffer = b""

    def connect(self):
        end = time.monotonic() + START_S
        while True:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(self.path)
                return s
            except OSError:
                s.close()
            if self.process.poll() is not None or time.monotonic() > end:
                raise Trouble(f"{self.name} does not start")
            time.sleep(0.02)

    def close(self):
        self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def take(self, size):
        """Exactly that many bytes of replies."""
        while len(self.buffer) < size:
            part = self.socket.recv(1 << 20)
            if not part:
                raise Trouble(f"{self.name} closed the connection")
            self.buffer += part
        out, self.buffer = self.buffer[:size], self.buffer[size:]
        return out

    def line(self):
        while b"\r\n" not in self.buffer:
            part = self.socket.recv(1 << 20)
            if not part:
                raise Trouble(f"{self.name} closed the connection")
            self.buffer += part
        out, self.buffer = self.buffer.split(b"\r\n", 1)
        return out

    def call(self, request):
        self.socket.sendall(request)
        return self.line()

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Memcached(Peer):
    def __init__(self, scratch, limit_mb, *options):
        path = os.path.join(scratch, "memcached.sock")
        command = ["memcached", "-u", "root", "-t", "1", "-s", path, "-m", str(limit_mb)]
        super().__init__("memcached", [*command, *options], path)

    @staticmethod
    def touch_request(key):
        return b"mg %b\r\n" % key

    def touch(self, requests):
        """Accesses keys without fetching their values. Whether each was there."""
        self.socket.sendall(b"".join(requests))
        replies = self.take(4 * len(requests))  # "HD" or "EN"
        return [replies[i] == 72 for i in range(0, len(replies), 4)]

    @staticmethod
    def set_request(key, value):
        return b"ms %b %d q\r\n%b\r\n" % (key, len(value), value)

    def set(self, requests):
        """How many were refused: only those answer."""
        self.socket.sendall(b"".join(requests) + b"mn\r\n")
        refused = 0
        while self.line() != b"MN":
            refused += 1
        return refused

    def items(self):
        self.socket.sendall(b"stats\r\n")
        items = 0
        while True:
            words = self.line().split()
            if words == [b"END"]:
                return items
            if words[1] == b"curr_items":
                items = int(words[2])


class Redis(Peer):
    def __init__(self, scratch, limit_bytes, *options):
        """limit_bytes (0: none) is beside what the empty server uses."""
        path = os.path.join(scratch, "redis.sock")
        command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir"]
        super().__init__("redis", [*command, scratch, "--daemonize", "no", *options], path)
        if limit_bytes:
            limit_bytes += self.info("used_memory")
            self.call(b"CONFIG SET maxmemory %d\r\n" % limit_bytes)

    def info(self, field):
        self.socket.sendall(b"INFO\r\n")
        text = self.take(int(self.line()[1:]) + 2).decode()
        return int(re.search(rf"^{field}:(\d+)", text, re.MULTILINE).group(1))

    @staticmethod
    def touch_request(key):
        return b"*2\r\n$5\r\nTOUCH\r\n$%d\r\n%b\r\n" % (len(key), key)

    def touch(self, requests):
        self.socket.sendall(b"".join(requests))
        replies = self.take(4 * len(requests))  # ":1" or ":0"
        return [replies[i + 1] == 49 for i in range(0, len(replies), 4)]

    @staticmethod
    def set_request(key, value):
        return b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key, len(value), value)

    def set(self, requests):
        self.socket.sendall(b"".join(requests))
        return sum(self.line() != b"+OK" for _ in requests)

    def items(self):
        return int(self.call(b"DBSIZE\r\n")[1:])


@contextlib.contextmanager
def opened(kind, scratch, *args):
    peer = kind(scratch, *args)
    try:
        yield peer
    finally:
        peer.close()
