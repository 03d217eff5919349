# SPDX-License-Identifier: BSD-3-Clause
"""Frames of up to 64 KiB that the device cuts into segments, read by the kernel's TCP, byte for byte."""

import pytest

from telemetry import Telemetry
from wire import Tcp, noise, value_reply

# net_tap cuts in software, and takes segments of up to 1,434 bytes only.
pytestmark = pytest.mark.lcached_only("the driver file of lcached's device")
SETTINGS = ["offload-checksum on", "offload-tso on"]
SEGMENT = 1380
SIZES = (1, 1368, 1369, 2736, 5000, 65536, 300000, 1 << 20, 16 << 20)


def figures(server):
    with Telemetry(server.process.pid) as telemetry:
        assert "tso" in telemetry.ask("/lcached/info,server")["offloads"].split()
        return telemetry.ask("/lcached/info,tcp")


@pytest.mark.limit(120)
@pytest.mark.parametrize("workers", (1, 3))
@pytest.mark.parametrize("drop_percent", (0, 1))
def test_downloads_and_uploads(launch, workers, drop_percent):
    with launch(
        workers=workers,
        drop_percent=drop_percent,
        memory_mb=512,
        options=["-I", "32m"],
        settings=SETTINGS,
    ) as server:
        with Tcp(60, receive_buffer=1 << 20, segment=SEGMENT) as conn:
            for n, size in enumerate(SIZES):
                assert conn.set(b"key%d" % n, noise(size, n)) == b"STORED\r\n"
            for n, size in enumerate(SIZES):
                conn.send(b"get key%d\r\n" % n)
                expected = value_reply(b"key%d" % n, noise(size, n))
                assert conn.read(len(expected)) == expected, f"{size} bytes"
            conn.send_aside(b"get key5 key6 key7\r\n" * 30)  # pipelined, a read behind
            values = [value_reply(b"key%d" % n, noise(SIZES[n], n)) for n in (5, 6, 7)]
            expected = b"".join(v.removesuffix(b"END\r\n") for v in values) + b"END\r\n"
            for _ in range(30):
                assert conn.read(len(expected)) == expected
        told = figures(server)
        if drop_percent:
            assert min(server.lab.dropped()) > 0
            assert told["tcp_retransmits"] > 0
        else:
            assert told["tcp_retransmits"] == told["tcp_loss_probes"]
        assert told["tcp_tx_big"] > 20
        assert told["tcp_tx_segments"] > 3 * told["tcp_tx_big"]


def test_off_as_it_comes(launch):
    """drivers-config/tap.conf asks for none of it."""
    with launch() as server:
        with Tcp(10) as conn:
            assert conn.set(b"k", b"v" * 300000) == b"STORED\r\n"
            assert conn.get(b"k") == b"v" * 300000
        with Telemetry(server.process.pid) as telemetry:
            assert telemetry.ask("/lcached/info,server")["offloads"] == "multi-segs"
            assert telemetry.ask("/lcached/info,tcp")["tcp_tx_big"] == 0
