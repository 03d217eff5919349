# SPDX-License-Identifier: BSD-3-Clause
"""The flight recorder: asked for, and after a crash."""

import os
import pathlib
import re
import signal
import subprocess

import pytest

from server import SLOW, SOURCE
from telemetry import Telemetry
from wire import Tcp, eventually

pytestmark = pytest.mark.lcached_only("memcached has no flight recorder")
LCFLIGHT = SOURCE / "scripts/lcflight"


def decoded(path, *options):
    done = subprocess.run([LCFLIGHT, path, *options], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_dump_tells_the_latest_requests(launch, tmp_path):
    with launch(workers=1, options=["--flight-dir", str(tmp_path)]) as server:
        with Tcp() as conn:
            assert conn.set(b"the-key-1234", b"v") == b"STORED\r\n"
            assert conn.get(b"the-key-1234") == b"v"
            conn.send(b"get no-such-9876\r\nincr the-key-1234 1\r\n")
            assert conn.line() == b"END\r\n"
            conn.line()
        with Telemetry(server.process.pid) as telemetry:
            path = telemetry.ask("/lcached/flight/dump")["file"]
        assert oct(os.stat(path).st_mode & 0o777) == "0o600"
        lines = [line.split(": ", 1)[1] for line in decoded(path, "--requests")]
        texts = [re.sub(r"conn [0-9a-f]+ ", "", line) for line in lines[-4:]]
        assert texts == [
            "request set ok key ..1234",
            "request get ok key ..1234",
            "request get miss key ..9876",
            "request arithmetic non-numeric key ..1234",
        ]
        conns = {re.search(r"conn ([0-9a-f]+)", line)[1] for line in lines[-4:]}
        assert len(conns) == 1
        assert len(decoded(path, "--conn", conns.pop())) >= 4
        assert len(decoded(path, "--last", "2")) == 2


def test_many_requests_leave_the_latest(launch, tmp_path):
    with launch(workers=3, options=["--flight-dir", str(tmp_path)]) as server:
        with Tcp() as conn:
            for n in range(0, 20000, 100):
                keys = b" ".join(b"key%05d" % i for i in range(n, n + 100))
                conn.send(b"get " + keys + b"\r\n")
                assert conn.line() == b"END\r\n"
        with Telemetry(server.process.pid) as telemetry:
            path = telemetry.ask("/lcached/flight/dump")["file"]
        lines = decoded(path, "--requests")
        assert lines[-1].endswith("9999")
        assert any("sent away" in line for line in lines) and any(" miss " in line for line in lines)


def test_connections_come_and_go(launch, tmp_path):
    with launch(workers=1, options=["--flight-dir", str(tmp_path)]) as server:
        with Tcp() as conn:
            assert conn.get(b"none") is None
            port = conn.sock.getsockname()[1]
        with Telemetry(server.process.pid) as telemetry:
            assert eventually(
                lambda: telemetry.ask("/lcached/info,stats")["connected_clients"] == 0)

            def dumped():
                path = telemetry.ask("/lcached/flight/dump").get("file")
                return [line.split(": ", 1)[1] for line in decoded(path, "--events")] if path else []

            lines = dumped()
            opened = [
                line for line in lines if line.startswith("tcp-open") and f" {port}->11211" in line]
            assert len(opened) == 1
            mark = re.search(r"conn ([0-9a-f]+)", opened[0])[1]
            assert f"tcp-peer conn {mark} 198.18.211.1" in lines
            # the client's last ACK may find the worker without CPU
            assert eventually(lambda: f"tcp-close in LAST-ACK conn {mark}" in dumped())


def test_no_such_folder_is_an_error(launch, tmp_path):
    with launch(workers=1, options=["--flight-dir", str(tmp_path / "none")]) as server:
        with Telemetry(server.process.pid) as telemetry:
            assert "No such file" in telemetry.ask("/lcached/flight/dump")["error"]


@pytest.mark.skipif(SLOW, reason="the sanitizer reports crashes itself")
def test_a_crash_leaves_it_behind(launch, tmp_path):
    with launch(workers=1, options=["--flight-dir", str(tmp_path)]) as server:
        with Tcp() as conn:
            assert conn.set(b"before-the-end", b"v") == b"STORED\r\n"
            server.process.send_signal(signal.SIGSEGV)
            server.process.wait(20)
        assert server.process.returncode == -signal.SIGSEGV
        (path,) = pathlib.Path(tmp_path).glob("*-crash.flight")
        assert decoded(path)[-1].endswith(".-end")
        assert str(path) in server.stderr()
        server.kill()


def test_the_decoder_refuses_other_files(tmp_path):
    other = tmp_path / "x"
    other.write_bytes(b"x" * 100)
    done = subprocess.run([LCFLIGHT, other], capture_output=True, text=True)
    assert done.returncode == 1 and "no flight recorder's file" in done.stderr
