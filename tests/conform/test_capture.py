# SPDX-License-Identifier: BSD-3-Clause
"""Packet captures from inside the server: what tcpdump reads in them, filters, limits, errors."""

import contextlib
import os
import re
import signal
import subprocess
import time

import pytest

from netlab import CLIENT_IP, PORT, SERVER_IP
from pcapng import Capture
from server import SLOW
from telemetry import Telemetry
from wire import Tcp, Udp, eventually, noise, value_reply

pytestmark = pytest.mark.lcached_only("memcached has no packet capture")


@contextlib.contextmanager
def capturing(launch, folder, workers=1):
    with launch(workers=workers, options=["--capture-dir", str(folder)]) as server:
        with Telemetry(server.process.pid) as telemetry:
            yield server, telemetry


def start(telemetry, **how):
    how = {"file": "x.pcapng", **how}
    return telemetry.ask("/lcached/capture/start," + ",".join(f"{k}={v}" for k, v in how.items()))


def stop(telemetry):
    return telemetry.ask("/lcached/capture/stop")


def tcpdump(path, *options):
    done = subprocess.run(
        ["tcpdump", "-nn", "-t", *options, "-r", path], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def exchange(clients=1):
    """A set and a get over TCP, and a get over UDP, of each of several clients; their ports."""
    tcp_ports, udp_ports = [], []
    for n in range(clients):
        with Tcp() as conn, Udp() as sock:
            assert conn.set(b"key%d" % n, b"value-of-it") == b"STORED\r\n"
            assert conn.get(b"key%d" % n) == b"value-of-it"
            assert sock.ask(b"get key%d\r\n" % n) == value_reply(b"key%d" % n, b"value-of-it")
            tcp_ports.append(conn.sock.getsockname()[1])
            udp_ports.append(sock.sock.getsockname()[1])
    return tcp_ports, udp_ports


@pytest.mark.parametrize("workers", [1, 3], ids=["t1", "t3"])
def test_tcpdump_reads_both_ways_of_tcp_and_udp(launch, tmp_path, workers):
    with capturing(launch, tmp_path, workers) as (server, telemetry):
        assert telemetry.ask("/lcached/capture") == {"state": "none"}
        before_ns = time.time_ns()
        assert start(telemetry) == {"file": f"{tmp_path}/x.pcapng"}
        tcp_ports, udp_ports = exchange(12)
        assert telemetry.ask("/lcached/capture")["state"] == "running"
        assert eventually(lambda: telemetry.ask("/lcached/info,stats")["connected_clients"] == 0)
        state = stop(telemetry)
        after_ns = time.time_ns()
        path = tmp_path / "x.pcapng"
        assert oct(path.stat().st_mode & 0o777) == "0o600"
        assert (state["state"], state["dropped"]) == ("stopped", 0)
        assert state["bytes"] == path.stat().st_size
        assert telemetry.ask("/lcached/capture") == state
    lines = tcpdump(path)
    assert len(lines) == state["packets"] == state["seen"]
    for port in tcp_ports:
        here, there = f"{SERVER_IP}.{PORT}", f"{CLIENT_IP}.{port}"
        ours = [line for line in lines if f"{here} > {there}" in line]
        theirs = [line for line in lines if f"{there} > {here}" in line]
        assert "Flags [S]" in theirs[0] and "Flags [S.]" in ours[0]
        assert any("Flags [F" in line for line in ours)
        # by their place in the stream: a client sends again what a server that had no CPU left unanswered
        sent = [re.search(r"seq (\d+):(\d+)", line) for line in theirs]
        key = f"key{tcp_ports.index(port)}"
        requests = [f"set {key} 0 0 11\r\nvalue-of-it\r\n", f"get {key}\r\n"]
        ends = [len("".join(requests[:n])) + 1 for n in range(3)]
        assert sorted({(int(s[1]), int(s[2])) for s in sent if s}) == list(zip(ends, ends[1:]))
    for port in udp_ports:
        frames = [line for line in lines if f".{port}" in line and "UDP" in line]
        assert [f"{CLIENT_IP}.{port} > " in line for line in frames] == [True, False]
    text = "\n".join(tcpdump(path, "-A", "udp"))
    assert text.count("value-of-it") == 12
    capture = Capture(path)
    assert all(before_ns < p.time_ns < after_ns for p in capture.packets)
    assert before_ns < capture.statistics_ns < after_ns
    assert {p.queue for p in capture.packets} <= set(range(workers))
    assert workers == 1 or len({p.queue for p in capture.packets}) > 1
    assert {p.way for p in capture.packets} == {"in", "out"}
    for p in capture.packets:
        if p.data[12:14] == b"\x08\x00":
            source = ".".join(str(b) for b in p.data[26:30])
            assert p.way == ("out" if source == SERVER_IP else "in")
    assert (capture.received, capture.dropped) == (state["seen"], 0)


@pytest.mark.parametrize("workers", [1, 3], ids=["t1", "t3"])
def test_the_filter_chooses(launch, tmp_path, workers):
    with capturing(launch, tmp_path, workers) as (server, telemetry):
        assert "file" in start(telemetry, file="udp", filter=f"udp and src host {SERVER_IP}", snaplen=64)
        exchange(4)
        state = stop(telemetry)
        assert state["packets"] == 4 < state["seen"]
        start(telemetry, file="syn", filter="tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn")
        tcp_ports, _ = exchange(5)
        packets = stop(telemetry)["packets"]
    assert all(f"{SERVER_IP}.{PORT} > " in line for line in tcpdump(tmp_path / "udp"))
    for p in Capture(tmp_path / "udp").packets:
        assert len(p.data) == 64 < p.wire and p.way == "out"
    syns = tcpdump(tmp_path / "syn")
    assert len(syns) == packets and all("Flags [S]" in line for line in syns)
    # one of each client's, or more: it sends again after a second
    assert {int(re.search(r"\.(\d+) > ", line)[1]) for line in syns} == set(tcp_ports)


@pytest.mark.parametrize("workers", [1, 3], ids=["t1", "t3"])
def test_the_file_keeps_its_size(launch, tmp_path, workers):
    with capturing(launch, tmp_path, workers) as (server, telemetry):
        start(telemetry, size="100kb")
        with Tcp() as conn:
            for n in range(10):
                assert conn.set(b"large", noise(100000, n)) == b"STORED\r\n"
        assert eventually(lambda: telemetry.ask("/lcached/capture")["state"] == "size limit")
        state = telemetry.ask("/lcached/capture")
        assert stop(telemetry) == {"error": "no capture is running"}
        exchange()
        assert telemetry.ask("/lcached/capture") == state
    path = tmp_path / "x.pcapng"
    assert 95 << 10 < path.stat().st_size == state["bytes"] <= 100 << 10
    capture = Capture(path)
    assert len(capture.packets) == len(tcpdump(path)) == state["packets"]
    assert capture.received == state["seen"] > state["packets"]


def test_it_ends_by_packets_and_by_time(launch, tmp_path):
    with capturing(launch, tmp_path) as (server, telemetry):
        start(telemetry, file="seven", packets=7)
        exchange(3)
        assert eventually(lambda: telemetry.ask("/lcached/capture")["state"] == "packet limit")
        assert len(tcpdump(tmp_path / "seven")) == 7
        began = time.monotonic()
        start(telemetry, file="second", seconds=1)
        while (state := telemetry.ask("/lcached/capture"))["state"] in ("running", "ending"):
            exchange()
        assert state["state"] == "time limit" and time.monotonic() - began >= 1
        assert len(tcpdump(tmp_path / "second")) == state["packets"]


def test_one_capture_at_a_time(launch, tmp_path):
    with capturing(launch, tmp_path) as (server, telemetry):
        start(telemetry)
        assert start(telemetry, file="y") == {"error": f"a capture is running: {tmp_path}/x.pcapng"}
        assert not (tmp_path / "y").exists()
        assert stop(telemetry)["state"] == "stopped"
        assert start(telemetry) == {"error": f"{tmp_path}/x.pcapng: File exists"}
        for n in range(20):
            assert "file" in start(telemetry, file=f"z{n}", filter="tcp")
            assert stop(telemetry)["state"] == "stopped"


def test_wrong_words_get_one_line(launch, tmp_path):
    with capturing(launch, tmp_path) as (server, telemetry):
        cases = {
            "": "file=NAME is wanted",
            "file=": "file: a name of",
            "file=../x": "file: a name of",
            "file=/etc/x": "file: a name of",
            "file=..": "file: a name of",
            "file=x,port=3": "'port' is none of file, filter, snaplen, size, packets, seconds",
            "file=x,11211": "'11211': wanted is KEY=VALUE",
            "file=x,size=1": "size: '1' is not a size",
            "file=x,size=9gb": "size: '9gb' is not a size",
            "file=x,snaplen=x": "snaplen: 'x' is not a number from 64 to 16384",
            "file=x,packets=0": "packets: '0' is not a number from 1 to",
            "file=x,seconds=86401": "seconds: '86401' is not a number from 1 to 86400",
            "file=x,filter=tcp prt 3": "filter: 'prt' is no keyword (nearest: port)",
            "file=x,filter=tcp and": "filter: can't parse filter expression",
            "file=x,filter=host example.com": "filter: 'example.com' is no keyword",
            "file=" + "x" * 128: "file: a name of",
        }
        for words, error in cases.items():
            reply = telemetry.ask("/lcached/capture/start," + words)
            assert list(reply)[0] == "error" and reply["error"].startswith(error), (words, reply)
        assert telemetry.ask("/lcached/capture") == {"state": "none"}
        assert os.listdir(tmp_path) == []
        assert telemetry.ask("/lcached/config,capture-dir") == {"capture_dir": str(tmp_path)}
        assert "error" in telemetry.ask("/lcached/config/set,capture-dir=/etc")


def test_no_such_folder_is_an_error(launch, tmp_path):
    with capturing(launch, tmp_path / "none") as (server, telemetry):
        reply = start(telemetry)
        assert reply == {"error": f"{tmp_path}/none/x.pcapng: No such file or directory"}


@contextlib.contextmanager
def small_disk(folder, size):
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_ends_it(launch, tmp_path):
    with small_disk(tmp_path, "64k"), capturing(launch, tmp_path) as (server, telemetry):
        start(telemetry)
        with Tcp() as conn:
            assert conn.set(b"large", noise(200000)) == b"STORED\r\n"
            assert eventually(lambda: telemetry.ask("/lcached/capture")["state"] == "failed")
            assert conn.get(b"large") == noise(200000)
        state = telemetry.ask("/lcached/capture")
        assert state["reason"] == "No space left on device"
        assert len(tcpdump(tmp_path / "x.pcapng")) == state["packets"] > 0
        with contextlib.suppress(OSError), open(tmp_path / "rest", "wb", buffering=0) as rest:
            while rest.write(b"x" * 4096):
                pass
        assert "No space left on device" in start(telemetry, file="y")["error"]
        assert not (tmp_path / "y").exists()
        (tmp_path / "rest").unlink()
        (tmp_path / "x.pcapng").unlink()
        assert "file" in start(telemetry, file="y")
        exchange()
        assert stop(telemetry)["state"] == "stopped"


@contextlib.contextmanager
def frozen(folder):
    """Whoever writes to this file system waits."""
    subprocess.run(["fsfreeze", "-f", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "-u", folder], check=True)


@pytest.fixture
def own_disk(tmp_path):
    """A file system of its own, which may be frozen."""
    if not os.path.exists("/dev/loop-control"):
        pytest.skip("no loop devices")
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as made:
        made.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_stands_still_holds_up_nobody(launch, own_disk):
    with capturing(launch, own_disk) as (server, telemetry):
        start(telemetry)
        with frozen(own_disk):
            exchange()
            before = telemetry.ask("/lcached/info,stats")["total_commands_processed"]
            exchange(20)
            assert eventually(lambda: telemetry.ask("/lcached/info,stats")[
                "total_commands_processed"] >= before + 60)
            assert telemetry.ask("/lcached/capture")["packets"] == 0
        assert eventually(lambda: telemetry.ask("/lcached/capture")["packets"] > 60)
        state = stop(telemetry)
        assert (state["state"], state["dropped"]) == ("stopped", 0)
        assert len(tcpdump(own_disk / "x.pcapng")) == state["packets"]


@pytest.mark.parametrize("workers", [1, 3], ids=["t1", "t3"])
def test_the_servers_end_ends_it(launch, tmp_path, workers):
    with capturing(launch, tmp_path, workers) as (server, telemetry):
        start(telemetry)
        with Tcp() as conn:
            assert conn.set(b"a", b"b") == b"STORED\r\n"
            server.stop(signal.SIGTERM)
    capture = Capture(tmp_path / "x.pcapng")
    lines = tcpdump(tmp_path / "x.pcapng")
    assert len(lines) == len(capture.packets)
    assert any("Flags [R" in line for line in lines)  # what the last worker sent


@pytest.mark.skipif(SLOW, reason="takes a while under sanitizers")
def test_load_is_served_and_counted_meanwhile(launch, tmp_path):
    with capturing(launch, tmp_path, 3) as (server, telemetry):
        start(telemetry, size="1gb", snaplen=128, filter=f"tcp port {PORT}")
        with Tcp() as conn:
            for n in range(200):
                conn.send(b"".join(b"set k%d 0 0 500 noreply\r\n%s\r\n" % (i, b"x" * 500)
                    for i in range(200)))
                assert conn.get(b"k1") == b"x" * 500
        state = stop(telemetry)
        assert state["packets"] + state["dropped"] <= state["seen"]
        assert state["packets"] + state["dropped"] > 10000  # dropped: while the control core had no CPU
        assert state["packets"] > 1000
    assert len(tcpdump(tmp_path / "x.pcapng")) == state["packets"]
