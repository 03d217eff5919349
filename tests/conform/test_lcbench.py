# SPDX-License-Identifier: BSD-3-Clause
"""The load generator over the kernel's sockets: the same loads, every value compared, against
lcached on a TAP and against Debian's memcached on loopback; and a server that lies is found out."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

import server as server_module
from netlab import PORT, SERVER_IP, Lab, die_with_parent
from server import Server

LCBENCH = os.environ.get(
    "LCBENCH", str(pathlib.Path(server_module.LCACHED).parents[1] / "lcbench" / "lcbench")
)
SECONDS = "0.3"
MIXED = "--get-ratio 0.7 --versions 5 --value-size 0-900 --zipf 0.99 --ttl 60"
LOADS = {
    "text": f"--connections 4 --pipeline 8 {MIXED}",
    "text-multi": f"--connections 4 --pipeline 2 --multi 20 {MIXED}",
    "meta": f"--commands meta --connections 4 --pipeline 8 {MIXED}",
    "meta-multi": f"--commands meta --connections 4 --pipeline 2 --multi 20 {MIXED}",
    "binary": f"--commands binary --connections 4 --pipeline 8 {MIXED}",
    "binary-multi": f"--commands binary --connections 4 --pipeline 2 --multi 20 {MIXED}",
    "binary-large": "--commands binary --connections 2 --value-size 0:1,100000:1 --keys 50",
    "large": "--connections 2 --get-ratio 0.5 --value-size 10:1,100000:1 --versions 2 --keys 50",
    "churn": "--connections 4 --churn 2",
    "udp": f"--proto udp --connections 2 --pipeline 4 {MIXED}",
    "udp-multi": "--proto udp --connections 2 --pipeline 2 --multi 10 --timeout-ms 50",
    "udp-meta": f"--proto udp --commands meta --lost count --connections 2 {MIXED}",
    "udp-binary": f"--proto udp --commands binary --connections 2 --pipeline 4 {MIXED}",
    "udp-binary-multi": "--proto udp --commands binary --connections 2 --pipeline 2 --multi 10 --timeout-ms 50",
    "open-loop": f"--connections 8 --rate 2000 {MIXED}",
    "udp-open-loop": "--proto udp --connections 8 --rate 2000",
    "no-preload": "--connections 4 --preload none --get-ratio 0.5",
}

pytestmark = [
    pytest.mark.skipif(not os.access(LCBENCH, os.X_OK), reason="lcbench is not built"),
    pytest.mark.lcached_only("this file starts memcached itself"),
]


def lcbench(server, load, port=PORT, seconds=SECONDS):
    """Runs lcbench here; (exit status, what it wrote as JSON or None, its stderr)."""
    command = [LCBENCH, "--sockets", "--server", server, "--port", str(port)]
    command += ["--keys", "500", "--warmup", "0.1", "--seconds", seconds, "--verify", "all"]
    command += ["--json", "-", *load.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def assert_good(result, load):
    assert result["errors"] == result["lost_connections"] == 0, result
    assert result["requests"] > 0
    assert result["verified"] > 0
    if "--preload none" not in load and "--lost count" not in load:
        # what was preloaded is there
        assert result["misses"] == 0
        assert result["verified"] >= (50 if "--keys 50" in load else 500)
    assert result["p50_us"] <= result["p99_us"] <= result["p9999_us"] <= result["max_us"]


@pytest.fixture(scope="module")
def lcached():
    made = Lab("lcached")
    running = Server(made)
    try:
        running.start()
        with made.client.inside():
            yield SERVER_IP
        running.stop()
    finally:
        running.kill()
        made.delete()


@pytest.fixture(scope="module")
def memcached():
    """On the loopback of a namespace of its own."""
    if not shutil.which("memcached"):
        pytest.skip("no memcached")
    made = Lab("lcached")  # its client's side alone
    process = None
    try:
        with made.client.inside():
            command = ["memcached", "-u", "root", "-l", "127.0.0.1", "-p", str(PORT), "-U", str(PORT)]
            process = subprocess.Popen(command, preexec_fn=die_with_parent)
            deadline = time.monotonic() + 10
            while True:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", PORT), 1).close()
                    break
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.02)
            yield "127.0.0.1"
    finally:
        if process:
            process.kill()
            process.wait()
        made.delete()


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS.keys())
@pytest.mark.parametrize("peer", ("lcached", "memcached"))
def test_every_value_is_what_was_set(request, peer, load):
    status, result, said = lcbench(request.getfixturevalue(peer), load)
    assert status == 0, said
    assert_good(result, load)


def test_the_open_loop_keeps_its_rate(memcached):
    """Slow enough for any machine: what is due is asked for, no more and no less."""
    load = "--connections 8 --rate 500 --preload fill"
    status, result, said = lcbench(memcached, load, seconds="1")
    assert status == 0, said
    due = 500 * result["seconds"]
    assert result["requests"] <= due + 50 + result["backlog_max"], result
    assert result["requests"] + result["backlog_end"] >= due - 50, result


def test_an_overload_shows_as_latency_and_backlog(memcached):
    """Ten million a second fall due on one connection: what is late says by how much."""
    load = "--connections 1 --rate 10000000"
    status, result, said = lcbench(memcached, load)
    assert status == 0, said
    assert result["backlog_end"] > 100000
    assert result["max_us"] > 100000


def test_segments_are_not_calm_while_a_neighbour_has_our_core(memcached):
    """--watch tells what the machine does from what the server does."""
    core = min(os.sched_getaffinity(0))
    load = f"--connections 2 --segments 10 --watch {os.getpid()} --core {core}"
    with subprocess.Popen(["taskset", "-c", str(core), "sh", "-c", "while :; do :; done"]) as neighbour:
        try:
            status, result, said = lcbench(memcached, load, seconds="1")
        finally:
            neighbour.kill()
    assert status == 0, said
    assert len(result["segments"]) >= 10
    assert sum(segment["calm"] for segment in result["segments"]) <= 2, result["segments"]
    assert sum(segment["waited_us"] for segment in result["segments"]) > 100000


@contextlib.contextmanager
def liar(answer):
    """A server that stores what it is told, and answers gets with answer(key, flags, value)."""
    stored = {}
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            conn = listener.accept()[0]
            with conn, conn.makefile("rb") as lines:
                while line := lines.readline():
                    words = line.split()
                    if words[0] == b"set":
                        stored[words[1]] = words[2], lines.read(int(words[4]) + 2)[:-2]
                        conn.sendall(b"STORED\r\n")
                    else:
                        conn.sendall(answer(words[1], *stored[words[1]]))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]


def flip(value, at):
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


def test_a_wrong_byte_ends_the_run_and_is_named():
    def answer(key, flags, value):
        value = flip(value, 17) if key.endswith(b"3") else value
        return b"VALUE %s %s %d\r\n%s\r\nEND\r\n" % (key, flags, len(value), value)

    with liar(answer) as port:
        status, result, said = lcbench("127.0.0.1", "--connections 1 --keys 20", port)
    assert status == 1
    assert result is None
    assert re.search(
        r'wrong value of key k+00000003, version 0, at byte 17 of 32: got "\w+", expected "\w+"', said
    ), said


def test_a_binary_answer_to_another_request_is_found_out():
    """The opaque of each answer is one higher than asked for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            conn = listener.accept()[0]
            with conn, conn.makefile("rb") as packets:
                while head := packets.read(24):
                    packets.read(int.from_bytes(head[8:12], "big"))
                    opaque = int.from_bytes(head[12:16], "big") + 1
                    conn.sendall(b"\x81\x01" + bytes(10) + opaque.to_bytes(4, "big") + bytes(8))

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        status, result, said = lcbench("127.0.0.1", "--commands binary --connections 1 --keys 20", port)
    assert status == 1 and result is None
    assert "wrong answer to set of key" in said and 'opcode 0x01, opaque 1, status 0x00 ""' in said, said


def test_a_missing_key_voids_the_run():
    with liar(lambda key, flags, value: b"END\r\n") as port:
        status, result, said = lcbench("127.0.0.1", "--connections 1 --keys 20", port)
    assert status == 1 and "missing" in said
    assert result is None


@pytest.mark.parametrize("options", ("--nonsense", "--keys 0", "--commands ascii", "--value-size 5-4", "--zipf x"))
def test_bad_options_are_refused(options):
    status, result, said = lcbench("127.0.0.1", options)
    assert status == 2
    assert options.split()[0].lstrip("-") in said
