# SPDX-License-Identifier: BSD-3-Clause
"""Large transfers against the kernel's TCP while 1 % of the packets is lost each way."""

import time

import pytest

from wire import Tcp, noise, value_reply

MIB = 1 << 20
DROP_PERCENT = 1
DOWNLOADS = 1024
UPLOAD_MIB = 64
PAUSE_EVERY = 32  # downloads; the window closes while the reader sleeps
OPTIONS = {"memory_mb": 1024, "options": ["-I", "128m"], "drop_percent": DROP_PERCENT}


def expect(conn, expected):
    """Reads what should come, and says where it first differs."""
    got = conn.read(len(expected))
    if got != expected:
        pairs = enumerate(zip(got, expected))
        at = next((i for i, (a, b) in pairs if a != b), len(got))
        raise AssertionError(f"byte {at} of {len(expected)} differs, {len(got)} came")


def assert_both_ways_lost_packets(server):
    dropped = server.lab.dropped()
    print("packets dropped", dropped)
    assert len(dropped) == 2 and min(dropped) > 0, f"packets dropped: {dropped}"


@pytest.mark.limit(180)
@pytest.mark.parametrize("workers", (1, 3))
def test_download_through_a_slow_reader(launch, workers):
    """1 GiB: a value of 1 MiB asked for 1,024 times in one pipeline; a quarter of that
    with three workers."""
    count = DOWNLOADS if workers == 1 else DOWNLOADS // 4
    value = noise(MIB)
    expected = value_reply(b"k", value)
    with launch(workers=workers, **OPTIONS) as server:
        with Tcp(60, receive_buffer=256 << 10) as conn:
            assert conn.set(b"k", value) == b"STORED\r\n"
            started = time.monotonic()
            conn.send_aside(b"get k\r\n" * count)
            for n in range(count):
                expect(conn, expected)
                if n % PAUSE_EVERY == PAUSE_EVERY - 1:
                    time.sleep(0.3)
            seconds = time.monotonic() - started
        assert_both_ways_lost_packets(server)
    print(f"{count} MiB in {seconds:.1f} s, {count * 8.4 / seconds:.0f} Mb/s")


@pytest.mark.limit(120)
@pytest.mark.parametrize("workers", (1, 3))
def test_set_of_64_mib(launch, workers):
    """Keys until every shard has had one with three workers; read back by another connection."""
    length = (UPLOAD_MIB if workers == 1 else UPLOAD_MIB // 4) * MIB
    with launch(workers=workers, **OPTIONS) as server:
        for n in range(1 if workers == 1 else 4):
            value = noise(length, n)
            with Tcp(60) as conn:
                assert conn.set(b"large%d" % n, value) == b"STORED\r\n"
            with Tcp(60) as conn:
                conn.send(b"get large%d\r\n" % n)
                expect(conn, value_reply(b"large%d" % n, value))
        assert_both_ways_lost_packets(server)


@pytest.mark.limit(90)
def test_many_small_requests_on_many_connections(launch):
    """Loss at the start, in the middle and at the end of short connections."""
    with launch(workers=3, **OPTIONS):
        for n in range(100):
            with Tcp(30) as conn:
                assert conn.set(b"k%d" % n, b"%d" % n) == b"STORED\r\n"
                assert conn.get(b"k%d" % n) == b"%d" % n
        conns = [Tcp(30) for _ in range(20)]
        request = b"".join(b"get k%d\r\n" % i for i in range(100))
        expected = b"".join(value_reply(b"k%d" % i, b"%d" % i) for i in range(100))
        for _ in range(10):
            for conn in conns:
                conn.send(request)
            for conn in conns:
                expect(conn, expected)
        for conn in conns:
            conn.close()
