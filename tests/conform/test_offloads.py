# SPDX-License-Identifier: BSD-3-Clause
"""A driver file that asks for every offload: what is sent is right all the same, byte for byte and
sum for sum. net_tap's own sums are wrong for frames in pieces of odd length, so it is asked for none."""

import pathlib

import pytest

from telemetry import Telemetry
from wire import Tcp, noise, value_reply

pytestmark = pytest.mark.lcached_only("the driver file of lcached's device")
SETTINGS = ["offload-checksum on", "offload-tso on", "offload-lro on"]
SEGMENT = 1380
SIZES = (1, 1367, 1369, 2737, 5000, 65536, 300000, 1 << 20, 16 << 20)


def wrong_sums():
    """Of TCP, as the kernel counts them in the client's namespace."""
    lines = pathlib.Path("/proc/net/snmp").read_text().splitlines()
    names, values = (line.split() for line in lines if line.startswith("Tcp:"))
    return int(dict(zip(names, values))["InCsumErrors"])


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
            values = [value_reply(b"key%d" % n, noise(SIZES[n], n)) for n in range(1, 8)]
            expected = b"".join(v.removesuffix(b"END\r\n") for v in values) + b"END\r\n"
            conn.send_aside(b"get key1 key2 key3 key4 key5 key6 key7\r\n" * 30)  # a read behind
            for _ in range(30):
                assert conn.read(len(expected)) == expected
        assert wrong_sums() == 0
        with Telemetry(server.process.pid) as telemetry:
            assert telemetry.ask("/lcached/info,server")["offloads"] == "multi-segs"
            told = telemetry.ask("/lcached/info,tcp")
        if drop_percent:
            assert min(server.lab.dropped()) > 0
            assert told["tcp_retransmits"] > 0
        else:
            # Nothing was lost: what went again was a probe's, or the client had it already and says
            # so, where a machine that stood still made timers fire.
            assert told["tcp_retransmits"] <= max(told["tcp_loss_probes"], told["tcp_dsacks_in"])
