# SPDX-License-Identifier: BSD-3-Clause
"""Start and end: the ready line, bad options, a device that is taken, signals."""

import pathlib
import re
import signal
import subprocess
import time

import pytest

from netlab import PORT, SERVER_IP, Lab
from server import KIND, LCACHED, SLOW, Server, driver_config
from telemetry import Telemetry
from wire import Tcp, Udp

pytestmark = pytest.mark.lcached_only("other options")

QUICK_S = 10  # far less than a device takes that is waited for; a machine may stand still for seconds


@pytest.fixture
def space():
    """A lab without a server."""
    made = Lab(KIND)
    try:
        yield made
    finally:
        made.delete()


def run_server(space, *options, seconds=QUICK_S):
    """Runs lcached to its end: exit code, stdout, stderr."""
    with space.server.inside():
        done = subprocess.run(
            [LCACHED, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "options",
    (
        ("--no-such-option",),
        ("--no-such-option", "1"),
        ("-Z",),
        ("-t",),
        ("-t", "0"),
        ("-t", "x"),
        ("-t", "-1"),
        ("-t", "1000"),
        ("-p", "70000"),
        ("-p", "-1"),
        ("-U", "70000"),
        ("-m", "x"),
        ("-m", "-5"),
        ("-m", ""),
        ("-c", "0"),
        ("-c", "x"),
        ("-I", "512"),
        ("-I", "2g"),
        ("-I", "1x"),
        ("-l", "198.18.211.2/99"),
        ("-l", "1.2.3.4.5/24"),
        ("-l", "nonsense"),
        ("-d", "no-such-driver"),
        ("-d", "/no/such/file.conf"),
        ("-f", "/no/such/file.conf"),
        ("--maxmemory-policy", "allkeys-nonsense"),
        ("--maxmemory", "12parsecs"),
        ("--maxmemory", ""),
        ("--maxmemory", "-1"),
        ("--maxmemory", "1kb"),
        ("--maxmemory", "99999999999999999999"),
        ("--maxmemory", "101%"),
        ("--maxmemory", "two\nlines"),
        ("--maxmemory", "x" * 1000),
        ("-m", "1"),  # items may be 1 MiB, and an item at most half of it
        ("--maxmemory-samples", "65"),
        ("--maxmemory-clients", "5%%"),
        ("--memory-region", "1.5gb"),
        ("--memory-region", "1kb"),
        ("--client-output-buffer-limit", "0"),
        ("--client-query-buffer-limit", "1gb"),
        ("--jemalloc-dirty-decay-ms", "-2"),
        ("--jemalloc-bg-thread", "maybe"),
        ("--lazyfree-idle-threshold", "50%"),
        ("surplus",),
    ),
    ids=" ".join,
)
def test_bad_option_ends_with_2_and_one_line(space, options):
    """Before any device is touched: no interface appears, and it is quick."""
    base = ["-d", "tap"] if "-d" not in options else []
    links = space.server.ip("-o", "link")
    code, out, err = run_server(space, *base, *options)
    assert code == 2, err
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    assert err.strip().isprintable()
    assert space.server.ip("-o", "link") == links


@pytest.mark.parametrize(
    "option, said",
    (
        (("--memory-region", "900gb"), r"region 921600 MiB: \d+ MiB of hugepages are wanted, \d+ are "
         r"free: sysctl vm.nr_hugepages=\d{6}"),
        (("--maxmemory", "900gb"), r"maxmemory 921600 .* are wanted, the .* has \d+"),
    ),
)
def test_memory_that_the_machine_lacks(space, option, said):
    """One line says what was asked for, what there is, and how to get it."""
    links = space.server.ip("-o", "link")
    code, out, err = run_server(space, "-d", "tap", *option)
    assert code == 2, err
    assert out == ""
    lines = [line for line in err.splitlines() if "error" in line]
    assert len(lines) == 1 and re.search(said, lines[0]), err
    assert space.server.ip("-o", "link") == links


@pytest.mark.parametrize(
    "text", ("nonsense 1\n", "address 300.1.1.1/24\n", "mtu\n", "mtu big\n", "queues -1\n")
)
def test_bad_line_of_a_driver_file_is_named(space, tmp_path, text):
    path = tmp_path / "broken.conf"
    path.write_text("# a comment\n\n" + text)
    code, _, err = run_server(space, "-d", str(path))
    assert code == 2
    assert len(err.strip().splitlines()) == 1, err
    assert "broken.conf" in err and "3" in err, err


@pytest.mark.parametrize("text", ("maxmemory-policy nonsense\n", "no-such-setting 1\n"))
def test_bad_line_of_a_configuration_file_is_named(space, tmp_path, text):
    path = tmp_path / "broken.conf"
    path.write_text("# a comment\n" + text)
    code, _, err = run_server(space, "-d", "tap", "-f", str(path))
    assert code == 2
    assert len(err.strip().splitlines()) == 1, err
    assert "broken.conf" in err and "2" in err, err


def test_help_and_version(space):
    code, out, _ = run_server(space, "-h")
    assert code == 0
    for option in "-m -p -U -t -I -c -l -d -f -v -V -h --maxmemory-policy".split():
        assert option in out, option
    code, out, _ = run_server(space, "-V")
    assert code == 0 and re.search(r"lcached \d+\.\d+", out)


@pytest.mark.parametrize("workers", (1, 3))
def test_ready_line(launch, workers):
    with launch(workers=workers) as server:
        address = f"{SERVER_IP}:{PORT}"
        expected = f"lcached ready tcp {address} udp {address} workers {workers} driver tap"
        assert server.ready_line == expected


def test_other_ports_and_address(space, tmp_path):
    """Options win over the driver file's address."""
    options = ["-p", "12000", "-U", "12001", "-l", "198.18.211.77/24"]
    argv = [LCACHED, "-d", driver_config(space, tmp_path), *options]
    with space.server.inside():
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        line = process.stdout.readline().decode()
        process.terminate()
        assert process.wait(timeout=QUICK_S * 2) == 0
    finally:
        process.kill()
        process.wait()
    ends = "tcp 198.18.211.77:12000 udp 198.18.211.77:12001"
    assert line == f"lcached ready {ends} workers 1 driver tap\n"


def test_second_server_on_the_same_device(launch):
    """It says why it cannot start; the first one loses neither clients nor values."""
    with launch() as first:
        with Tcp() as conn:
            assert conn.set(b"k", b"x") == b"STORED\r\n"
            conf = driver_config(first.lab, first.folder.name)
            code, out, err = run_server(first.lab, "-d", conf, "-U", str(PORT), seconds=30)
            assert code > 0, f"exit code {code}"
            assert "lcached ready" not in out
            assert first.lab.tap in err, err
            for i in range(200):
                assert conn.set(b"k%d" % i, b"x") == b"STORED\r\n"
            assert conn.get(b"k") == b"x"
            with Udp() as sock:
                for i in range(100):
                    assert sock.ask(b"mn\r\n", i) == b"MN\r\n"


def test_two_servers_on_different_devices(launch):
    """Two processes, two namespaces: neither knows of the other."""
    with launch():
        with Tcp() as conn:
            assert conn.set(b"k", b"first") == b"STORED\r\n"
        with launch():
            with Tcp() as conn:
                assert conn.get(b"k") is None
        with Tcp() as conn:
            assert conn.get(b"k") == b"first"


@pytest.mark.parametrize("which", (signal.SIGTERM, signal.SIGINT), ids=("SIGTERM", "SIGINT"))
def test_signal_resets_connections(launch, which):
    with launch(workers=3) as server:
        conns = [Tcp() for _ in range(20)]
        for n, conn in enumerate(conns):
            assert conn.set(b"k%d" % n, b"x") == b"STORED\r\n"
        started = time.monotonic()
        process = server.process
        process.send_signal(which)
        for conn in conns:
            with pytest.raises(ConnectionResetError):
                if conn.sock.recv(1) == b"":
                    raise AssertionError("closed with a FIN")
        assert process.wait(timeout=5 if not SLOW else 15) == 0
        print(f"ended after {time.monotonic() - started:.2f} s")


def test_signal_in_the_middle_of_transfers(launch):
    """Replies on the way, a half-filled value and full windows: exit 0 in time, all mbufs back."""
    with launch(workers=3) as server:
        deaf = [Tcp(5, receive_buffer=32 << 10) for _ in range(10)]
        for n, conn in enumerate(deaf):
            conn.set(b"k%d" % n, bytes(500 << 10))
            conn.send(b"get k0 k1 k2\r\n" * 20)
            conn.send(b"set half%d 0 0 90000\r\n" % n + bytes(1000))
        time.sleep(0.3)
        server.stop()
        for conn in deaf:
            conn.close()


def test_restart_on_the_same_device(space):
    """Five times: nothing of the server before stands in the way."""
    for _ in range(5):
        server = Server(space)
        try:
            server.start()
            with space.client.inside(), Tcp() as conn:
                assert conn.get(b"k") is None
                assert conn.set(b"k", b"x") == b"STORED\r\n"
            server.stop()
        finally:
            server.kill()


def test_the_page_of_options_is_what_the_program_prints():
    page = pathlib.Path(__file__).parents[2] / "docs/configuration.md"
    said = subprocess.run([LCACHED, "--help-markdown"], capture_output=True, timeout=QUICK_S, check=True)
    assert page.read_bytes() == said.stdout


def test_the_configuration_file_is_written_anew(space, tmp_path):
    path = tmp_path / "lcached.conf"
    path.write_text("# mine\nmaxmemory-samples 5 # few\nlfu-log-factor 9\n")
    server = Server(space, options=["-f", str(path)])
    server.start()
    try:
        with Telemetry(server.process.pid) as telemetry:
            for option in ("maxmemory-samples=8", "maxmemory-policy=allkeys-lfu"):
                assert telemetry.ask(f"/lcached/config/set,{option}") == {"status": "ok"}
            assert telemetry.ask("/lcached/config/rewrite") == {"status": "ok"}
    finally:
        server.stop()
    lines = path.read_text().splitlines()
    assert lines[:3] == ["# mine", "maxmemory-samples 8", "lfu-log-factor 9"]
    assert "maxmemory-policy allkeys-lfu" in lines
    assert [entry.name for entry in tmp_path.iterdir()] == ["lcached.conf"]
