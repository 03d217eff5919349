# SPDX-License-Identifier: BSD-3-Clause
"""A UDP port for each shard: any of them takes any key, and clients can find a key's own."""

import ctypes
import os
import pathlib
import re
import socket
import struct
import subprocess

import pytest

import server as server_module
from netlab import PORT, SERVER_IP
from telemetry import Telemetry
from wire import Tcp, noise, value_reply

WORKERS = 3
LCBENCH = os.environ.get(
    "LCBENCH", str(pathlib.Path(server_module.LCACHED).parents[1] / "lcbench" / "lcbench")
)
KEYS = [b"shard-key-%d" % i for i in range(60)]
# keys of every branch of the hash
LENGTHS = (1, 3, 4, 8, 9, 16, 17, 64, 128, 129, 200, 240, 241, 250)

pytestmark = pytest.mark.lcached_only("ports of shards are ours")


@pytest.fixture
def sharded(launch):
    with launch(workers=WORKERS, options=["--udp-shard-ports", "yes"]) as running:
        yield running


class Asker:
    """A socket that asks any port, and sees which one answers."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(5)
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, port, payload):
        self.number = (self.number + 1) % 65536
        self.sock.sendto(struct.pack("!HHHH", self.number, 0, 1, 0) + payload, (SERVER_IP, port))

    def ask(self, port, payload):
        """The whole reply, each datagram of which must come from the port asked."""
        self.send(port, payload)
        reply, sequence, of = b"", 0, 1
        while sequence < of:
            data, peer = self.sock.recvfrom(65536)
            number, got, of, _ = struct.unpack("!HHHH", data[:8])
            assert peer == (SERVER_IP, port)
            assert (number, got) == (self.number, sequence)
            reply, sequence = reply + data[8:], sequence + 1
        return reply

    def silent(self, port, payload, seconds=0.3):
        self.send(port, payload)
        self.sock.settimeout(seconds)
        try:
            self.sock.recvfrom(65536)
            return False
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(5)


def xxh3(key):
    library = ctypes.CDLL("libxxhash.so.0")
    library.XXH3_64bits.restype = ctypes.c_uint64
    return library.XXH3_64bits(key, ctypes.c_size_t(len(key)))


def owner_of(key, shards=WORKERS):
    return ((xxh3(key) >> 48) * shards) >> 16


def test_every_port_answers_for_every_key(sharded):
    with Asker() as asker:
        for i, key in enumerate(KEYS):
            port = PORT + owner_of(key)
            assert asker.ask(port, b"set %s 7 0 2\r\n%02d\r\n" % (key, i)) == b"STORED\r\n"
        for i, key in enumerate(KEYS):
            for shard in range(WORKERS):
                for words in (b"get %s\r\n", b"get  %s\r\n"):  # whole to its owner, and by parts
                    reply = asker.ask(PORT + shard, words % key)
                    assert reply == value_reply(key, b"%02d" % i, flags=7)
    with Telemetry(sharded.process.pid) as telemetry:
        assert telemetry.ask("/lcached/info,stats")["udp_quick"] >= WORKERS * len(KEYS)


def test_other_requests_over_every_port(sharded):
    large = noise(5000)
    with Asker() as asker:
        with Tcp() as tcp:
            assert tcp.set(b"large", large) == b"STORED\r\n"
        for shard in range(WORKERS):
            port = PORT + shard
            for key in KEYS[:20]:
                assert asker.ask(port, b"set %s 0 0 1\r\n%d\r\n" % (key, shard)) == b"STORED\r\n"
            want = b"".join(b"VALUE %s 0 1\r\n%d\r\n" % (key, shard) for key in KEYS[:20])
            request = b"get %s\r\n" % b" ".join(KEYS[:20])
            assert asker.ask(port, request) == want + b"END\r\n"
            assert asker.ask(port, b"get nobody\r\n") == b"END\r\n"
            assert asker.ask(port, b"get large\r\n") == value_reply(b"large", large)
            assert asker.ask(port, b"incr %s 10\r\n" % KEYS[shard]) == b"%d\r\n" % (shard + 10)
            assert asker.ask(port, b"mg %s v\r\n" % KEYS[5]) == b"VA 1\r\n%d\r\n" % shard
            assert asker.ask(port, b"delete %s\r\n" % KEYS[0]) == b"DELETED\r\n"
            assert asker.ask(port, b"version\r\n").startswith(b"VERSION ")


def lcbench(*options):
    """Its exit status and errors; every answer is compared."""
    command = [LCBENCH, "--sockets", "--server", SERVER_IP, "--port", str(PORT), "--proto", "udp"]
    command += ["--keys", "500", "--warmup", "0.1", "--seconds", "0.3", "--verify", "all"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(not os.access(LCBENCH, os.X_OK), reason="lcbench is not built")
def test_lcbench_asks_the_owners(sharded):
    load = ("--connections", "2", "--pipeline", "4", "--get-ratio", "0.7", "--shard-ports")
    status, said = lcbench(*load, str(WORKERS))
    assert status == 0, said
    # by more shards than there are, some requests go to ports that nobody serves
    status, said = lcbench(*load, str(WORKERS + 1), "--preload", "none", "--lost", "count")
    assert int(re.search(r"(\d+) timeouts", said)[1]) > 0, said


def test_ports_outside_are_not_answered(sharded):
    with Asker() as asker:
        for port in (PORT - 1, PORT + WORKERS, PORT + WORKERS + 1, 65535, 1):
            assert asker.silent(port, b"get k\r\n")
            assert asker.silent(port, b"mn\r\n")
        assert asker.ask(PORT, b"mn\r\n") == b"MN\r\n"


def test_one_port_unless_asked_for(launch):
    with launch(workers=WORKERS) as running, Asker() as asker, Tcp() as tcp:
        assert asker.silent(PORT + 1, b"mn\r\n")
        assert asker.silent(PORT + 1, b"get k\r\n")
        stats = tcp.stats(b"shards")
        assert stats["udp_shard_ports"] == "no"
        assert {stats[f"{i}:udp_port"] for i in range(WORKERS)} == {str(PORT)}
        with Telemetry(running.process.pid) as telemetry:
            assert telemetry.ask("/lcached/shards")["udp_ports"] == [PORT] * WORKERS


def test_the_map_names_the_owner(sharded):
    keys = KEYS + [b"x" * length for length in LENGTHS]
    with Tcp() as tcp, Telemetry(sharded.process.pid) as telemetry:
        stats = tcp.stats(b"shards")
        told = telemetry.ask("/lcached/shards")
        assert stats["hash"] == told["hash"] == "XXH3-64"
        assert int(stats["hash_seed"]) == told["hash_seed"] == 0
        assert int(stats["shards"]) == told["shards"] == WORKERS
        assert stats["owner"] == told["owner"] == "((hash>>48)*shards)>>16"
        assert stats["udp_shard_ports"] == told["udp_shard_ports"] == "yes"
        assert told["udp_ports"] == [PORT + i for i in range(WORKERS)]
        assert [int(stats[f"{i}:udp_port"]) for i in range(WORKERS)] == told["udp_ports"]
        for key in keys:
            assert tcp.set(key, b"v") == b"STORED\r\n"
            usage = telemetry.ask("/lcached/memory/usage," + key.decode())
            owner = eval(told["owner"], {"hash": xxh3(key), "shards": told["shards"]})
            assert usage["worker"] == owner == owner_of(key)
    assert {owner_of(key) for key in keys} == set(range(WORKERS))


def test_the_ready_line_is_as_ever(sharded):
    place = f"{SERVER_IP}:{PORT}"
    assert sharded.ready_line == (
        f"lcached ready tcp {place} udp {place} workers {WORKERS} driver tap"
    )
    assert len(re.findall("udp ports steered by (the device|workers)", sharded.stderr())) == 1
